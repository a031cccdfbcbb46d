//! Admin tokens.

use std::path::Path;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use grange_coordinator::TokenHash;

use crate::failure;

/// The fewest characters of a token that somebody made otherwise.
const SHORTEST: usize = 32;

/// A token, 256 random bits.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>()))
    }

    /// The token itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its line in a token file that does not tell it.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "sha256:{}",
            HEXLOWER.encode(&TokenHash::of(&self.0).to_bytes())
        )
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads a token file: a token or `sha256:HEX` on each line; empty lines and those that begin with `#` are passed over.
///
/// # Errors
///
/// It cannot be read, or a line is neither.
pub fn read_tokens(file: &Path) -> anyhow::Result<Vec<TokenHash>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        failure::config(format!("cannot read the admin tokens in {name}: {error}"))
    })?;
    let mut tokens = Vec::new();
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself is not shown: it may be a token with a slip of the finger.
        let wrong = |what: &str| failure::config(format!("{name}, line {}: {what}", number + 1));
        tokens.push(match line.strip_prefix("sha256:") {
            Some(hex) => {
                let hash = HEXLOWER
                    .decode(hex.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok());
                TokenHash::from_bytes(
                    hash.ok_or_else(|| {
                        wrong("`sha256:` is not followed by 64 hexadecimal digits")
                    })?,
                )
            }
            None if line.len() < SHORTEST => {
                return Err(wrong("the token has fewer than 32 characters"));
            }
            None => TokenHash::of(line),
        });
    }
    if tokens.is_empty() {
        return Err(failure::config(format!(
            "{name} holds no token; `grange-coordinator token` makes one"
        )));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<TokenHash>> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tokens");
        std::fs::write(&file, text).unwrap();
        read_tokens(&file)
    }

    #[test]
    fn tokens_and_hashes_of_tokens_are_read() {
        let token = Token::new();
        for text in [format!("# mine\n\n  {} \n", token.as_str()), token.line()] {
            let tokens = read(&text).unwrap();
            assert_eq!(tokens.len(), 1);
            assert!(tokens[0].accepts(token.as_str()));
            assert!(!tokens[0].accepts(Token::new().as_str()));
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        for text in ["", "# nothing", "tooshort", "sha256:00"] {
            let error = read(text).unwrap_err().to_string();
            assert!(!error.contains("tooshort"), "{error}");
        }
    }
}
