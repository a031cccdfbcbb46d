//! Names and versions of packages.

use std::cmp::Ordering;
use std::fmt;

/// A package, as the name of its derivation says: `openssl-1.1.1l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name: `openssl`.
    pub name: String,
    /// Its version: `1.1.1l`; empty if there is none.
    pub version: String,
}

impl Package {
    /// From the name of a derivation, without `.drv`: what follows the last hyphen that a digit follows is the version.
    #[must_use]
    pub fn of(derivation: &str) -> Self {
        let bytes = derivation.as_bytes();
        let starts =
            |at: &usize| bytes[*at] == b'-' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let (name, version) = match (1..bytes.len()).rev().find(starts) {
            Some(at) => (&derivation[..at], &derivation[at + 1..]),
            None => (derivation, ""),
        };
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }

    /// Whether its name is like `pattern`, in which `*` is anything.
    pub(super) fn is_like(&self, pattern: &str) -> bool {
        let mut parts = pattern.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = self.name.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// Whether its version is between those; none for no limit. One without a version is.
    pub(super) fn is_between(&self, from: Option<&str>, until: Option<&str>) -> bool {
        if self.version.is_empty() {
            return true;
        }
        let not = |other: Option<&str>, order| {
            other.is_some_and(|other| compare(&self.version, other) == order)
        };
        !not(from, Ordering::Less) && !not(until, Ordering::Greater)
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.version.is_empty() {
            write!(f, "-{}", self.version)?;
        }
        Ok(())
    }
}

/// Which version is newer: number by number, and letters behind a number by the alphabet (`1.1.1` < `1.1.1a` < `1.1.2`).
fn compare(a: &str, b: &str) -> Ordering {
    parts(a).cmp(parts(b))
}

/// Numbers and words, as what compares like versions do.
fn parts(version: &str) -> impl Iterator<Item = (u8, u64, &str)> {
    let mut rest = version;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let first = rest.chars().next()?;
        let digits = first.is_ascii_digit();
        let same = |c: char| c.is_ascii_alphanumeric() && c.is_ascii_digit() == digits;
        let end = rest.find(|c: char| !same(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(match part.parse() {
            Ok(number) => (1, number, ""),
            Err(_) if digits => (1, u64::MAX, part),
            Err(_) => (0, 0, part),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_versions_begin() {
        for (derivation, name, version) in [
            ("openssl-1.1.1l", "openssl", "1.1.1l"),
            ("python-minimal-3.8.2", "python-minimal", "3.8.2"),
            ("gtk+-2.24.33-doc", "gtk+", "2.24.33-doc"),
            ("hello", "hello", ""),
            ("-1", "-1", ""),
            ("a-", "a-", ""),
        ] {
            let package = Package::of(derivation);
            assert_eq!((&*package.name, &*package.version), (name, version));
            assert_eq!(package.to_string(), derivation);
        }
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        let ordered = [
            "0.3.5",
            "0.3.15",
            "1.1.1",
            "1.1.1a",
            "1.1.1o",
            "1.1.2",
            "3",
            "3.0",
            "3.0.3",
            "99999999999999999999999",
        ];
        for pair in ordered.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(compare("1.0", "1-0"), Ordering::Equal);
        let package = Package::of("openssl-1.1.1l");
        assert!(package.is_between(Some("1.1.1"), Some("1.1.1o")));
        assert!(package.is_between(None, None));
        assert!(!package.is_between(Some("1.1.1m"), None));
        assert!(!package.is_between(None, Some("1.1.1k")));
        assert!(Package::of("openssl").is_between(Some("9"), None));
    }

    #[test]
    fn patterns_have_stars() {
        let package = Package::of("python-minimal-3.8.2");
        for like in [
            "python-minimal",
            "python*",
            "*",
            "*minimal",
            "p*-*al",
            "python-minimal*",
        ] {
            assert!(package.is_like(like), "{like}");
        }
        for unlike in ["python", "*python", "q*", "python*x", "", "p*z*l"] {
            assert!(!package.is_like(unlike), "{unlike}");
        }
    }
}
