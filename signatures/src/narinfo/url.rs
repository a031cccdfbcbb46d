//! Where a nar is.

use super::UrlError;
use std::fmt;
use std::str::FromStr;

/// The `URL` of a nar, as it stands in a narinfo: percent-encoded, nearly always relative to the server's root.
///
/// Printable ASCII without `..` in its path. One that leads elsewhere is kept, for some servers keep nars on other hosts,
/// but [`NarUrl::relative`] does not give it: whoever follows it decides to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NarUrl(String);

impl NarUrl {
    /// The most bytes of a URL.
    pub const MAX: usize = 2048;

    /// The relative URL of these names, percent-encoded as `guix publish` does: `nar/zstd/HASH-timidity%2B%2B`.
    ///
    /// # Errors
    /// If there are none, one is `..` or empty or has a `/`, or the URL would be too long.
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UrlError> {
        let mut text = String::new();
        for (at, name) in names.into_iter().enumerate() {
            if at > 0 {
                text.push('/');
            }
            if name.is_empty() {
                return Err(UrlError::Empty);
            }
            for byte in name.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    text.push('%');
                    text.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
                }
            }
        }
        text.parse()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL relative to the directory of `nix-cache-info`, unless it leads out of that.
    #[must_use]
    pub fn relative(&self) -> Option<&str> {
        let scheme = self
            .0
            .find([':', '/', '?', '#'])
            .is_some_and(|at| self.0.as_bytes()[at] == b':');
        (!scheme && !self.0.starts_with('/')).then_some(&self.0)
    }
}

impl FromStr for NarUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.len() > Self::MAX {
            return Err(UrlError::Long(text.len()));
        }
        let hostile = |c: char| !c.is_ascii_graphic() || matches!(c, '\\' | '"' | '<' | '>');
        if let Some(character) = text.chars().find(|c| hostile(*c)) {
            return Err(UrlError::Character(character));
        }
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let mut decoded = Vec::with_capacity(path.len());
        let mut rest = path.as_bytes();
        while let [byte, tail @ ..] = rest {
            rest = tail;
            if *byte != b'%' {
                decoded.push(*byte);
                continue;
            }
            let Some((digits, tail)) = rest.split_at_checked(2) else {
                return Err(UrlError::Percent);
            };
            match data_encoding::HEXLOWER_PERMISSIVE.decode(digits).as_deref() {
                // What a server might take for a character of the path after decoding it once more.
                Ok([byte]) if byte.is_ascii_control() || matches!(byte, b'/' | b'\\') => {
                    return Err(UrlError::Character(char::from(*byte)));
                }
                Ok([byte]) => decoded.push(*byte),
                _ => return Err(UrlError::Percent),
            }
            rest = tail;
        }
        if decoded
            .split(|byte| *byte == b'/')
            .any(|part| part == b"..")
        {
            return Err(UrlError::Parent);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NarUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<NarUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn within_the_server() {
        for good in [
            "nar/lzip/xhdiavzywyni9xl1b7ya4a3zka45n766-refs-allowed",
            "nar/zstd/4q602nf-timidity%2B%2B-2.15.0.drv",
            "nar/1b.nar.xz?hash=4q",
            "nar/a..b",
            "nar?at=12:30",
        ] {
            assert_eq!(parse(good).unwrap().relative(), Some(good));
        }
    }

    #[test]
    fn of_names() {
        let url = NarUrl::of_names(["nar", "zstd", "4q602nf-timidity++?=-2.drv"]).unwrap();
        assert_eq!(
            url.relative(),
            Some("nar/zstd/4q602nf-timidity%2B%2B%3F%3D-2.drv")
        );
        assert_eq!(NarUrl::of_names([]), Err(UrlError::Empty));
        assert_eq!(NarUrl::of_names(["nar", ""]), Err(UrlError::Empty));
        assert_eq!(NarUrl::of_names(["nar", ".."]), Err(UrlError::Parent));
        assert_eq!(NarUrl::of_names(["a/b"]), Err(UrlError::Character('/')));
    }

    #[test]
    fn elsewhere() {
        for other in [
            "https://other.example/nar/x",
            "//other.example/x",
            "/nar/x",
            "file:x",
        ] {
            assert_eq!(parse(other).unwrap().relative(), None, "{other}");
        }
    }

    #[test]
    fn hostile() {
        assert_eq!(parse(""), Err(UrlError::Empty));
        assert_eq!(parse(&"a".repeat(3000)), Err(UrlError::Long(3000)));
        for parent in [
            "..",
            "../x",
            "nar/../../x",
            "nar/%2e%2E/x",
            "nar/.%2e",
            "https://h/../x",
        ] {
            assert_eq!(parse(parent), Err(UrlError::Parent), "{parent}");
        }
        for character in [
            "nar/a b",
            "nar/\t",
            "nar/\u{7f}",
            "nar/é",
            "nar\\x",
            "a%00",
            "a%2fb",
            "a%0d%0aX: y",
        ] {
            assert!(
                matches!(parse(character), Err(UrlError::Character(_))),
                "{character}"
            );
        }
        for percent in ["nar/%", "nar/%2", "nar/%zz"] {
            assert_eq!(parse(percent), Err(UrlError::Percent), "{percent}");
        }
    }
}
