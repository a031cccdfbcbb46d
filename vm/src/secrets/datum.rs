//! One datum of Scheme from a stream, and not a byte more: what follows is the first file.

use lexpr::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::SecretsError;

/// A datum has at most so many bytes: some ten thousand files.
const MOST: usize = 1 << 20;

/// Reads up to the parenthesis that ends the first list.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Value, SecretsError> {
    let mut text = Vec::new();
    let mut scanner = Scanner::default();
    loop {
        let byte = stream.read_u8().await.map_err(SecretsError::Connection)?;
        text.push(byte);
        match scanner.push(byte) {
            Some(true) => break,
            Some(false) if text.len() < MOST => {}
            _ => return Err(SecretsError::Protocol(shorten(&text))),
        }
    }
    lexpr::from_slice(&text).map_err(|_| SecretsError::Protocol(shorten(&text)))
}

fn shorten(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(80)]);
    format!("{text:?}")
}

/// Counts parentheses outside of strings.
#[derive(Debug, Default)]
struct Scanner {
    depth: u32,
    string: bool,
    escaped: bool,
}

impl Scanner {
    /// Whether the list ends with this byte; none if what comes is no list.
    fn push(&mut self, byte: u8) -> Option<bool> {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.string => self.escaped = true,
            b'"' if self.depth > 0 => self.string = !self.string,
            _ if self.string => {}
            b'(' => self.depth += 1,
            b')' => {
                self.depth = self.depth.checked_sub(1)?;
                return Some(self.depth == 0);
            }
            _ if self.depth == 0 && !byte.is_ascii_whitespace() => return None,
            _ => {}
        }
        Some(false)
    }
}

/// `(NAME (version N …) REST…)`: the first version that is said, and what follows it.
pub(super) fn open<'a>(datum: &'a Value, name: &str) -> Result<(i64, &'a Value), SecretsError> {
    let wrong = || SecretsError::Protocol(shorten(datum.to_string().as_bytes()));
    let parts = datum.as_pair().ok_or_else(wrong)?;
    let (head, rest) = parts;
    let (version, rest) = rest.as_pair().ok_or_else(wrong)?;
    let (key, versions) = version.as_pair().ok_or_else(wrong)?;
    if head.as_symbol() != Some(name) || key.as_symbol() != Some("version") {
        return Err(wrong());
    }
    let mut numbers = versions.list_iter().ok_or_else(wrong)?.map(Value::as_i64);
    let first = numbers.next().flatten().ok_or_else(wrong)?;
    // A list of versions holds ours, or it does not.
    let ours = first == 0 || numbers.any(|version| version == Some(0));
    Ok((if ours { 0 } else { first }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn first(text: &str) -> Result<(String, String), SecretsError> {
        let mut rest = text.as_bytes();
        let datum = read(&mut rest).await?;
        Ok((
            datum.to_string(),
            String::from_utf8_lossy(rest).into_owned(),
        ))
    }

    #[tokio::test]
    async fn a_datum_ends_with_its_parenthesis() {
        let (datum, rest) = first("(secrets (files ((\"/a \\\") b\" 3 33152))))abc")
            .await
            .unwrap();
        assert_eq!(rest, "abc");
        assert!(datum.contains("33152"), "{datum}");
    }

    #[tokio::test]
    async fn what_is_none_is_refused_at_once() {
        for text in ["SSH-2.0-OpenSSH\r\n", ")", "\"(\"", &"(".repeat(MOST + 2)] {
            let error = first(text).await.unwrap_err();
            assert!(matches!(error, SecretsError::Protocol(_)), "{error}");
        }
        let error = first("(secrets").await.unwrap_err();
        assert!(matches!(error, SecretsError::Connection(_)), "{error}");
    }

    #[test]
    fn versions_are_one_or_many() {
        let of = |text: &str| {
            let datum = lexpr::from_str(text).unwrap();
            open(&datum, "secrets").map(|(version, _)| version)
        };
        assert_eq!(of("(secrets (version 0) (files ()))").unwrap(), 0);
        assert_eq!(of("(secrets (version 1 0))").unwrap(), 0);
        assert_eq!(of("(secrets (version 2))").unwrap(), 2);
        for wrong in [
            "(other (version 0))",
            "(secrets)",
            "(secrets (version))",
            "(secrets (version x))",
            "(secrets 0)",
            "()",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
