//! Names of machines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name has at most so many bytes: it is the guest's host name, part of the paths of sockets, which end at 107 bytes, and shown in lists.
const MOST: usize = 32;

/// What a machine is called: lower-case letters, digits and hyphens, a letter or digit at both ends, at most 32 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineName(String);

/// That is no name of a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseNameError {
    /// There is nothing.
    #[error("the name of a machine is empty")]
    Empty,
    /// It is too long.
    #[error("the name of a machine has {0} bytes, and {MOST} at most are allowed")]
    Long(usize),
    /// It has a character that no name has.
    #[error(
        "{name:?} cannot be the name of a machine because of {found:?}: lower-case letters, digits and hyphens make one"
    )]
    Character {
        /// The whole.
        name: String,
        /// The first such character.
        found: char,
    },
    /// A hyphen stands at an end.
    #[error("{0:?} cannot be the name of a machine: it begins or ends with a hyphen")]
    Hyphen(String),
}

impl MachineName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MachineName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseNameError::Empty);
        }
        if text.len() > MOST {
            return Err(ParseNameError::Long(text.len()));
        }
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(found) = text.chars().find(|c| !fits(*c)) {
            let name = text.to_owned();
            return Err(ParseNameError::Character { name, found });
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(ParseNameError::Hyphen(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for MachineName {
    type Error = ParseNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MachineName> for String {
    fn from(name: MachineName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_paths_host_names_and_arguments() {
        for good in ["past", "a", "py-2020", "0"] {
            assert_eq!(good.parse::<MachineName>().unwrap().to_string(), good);
        }
        for (bad, found) in [
            ("a b", ' '),
            ("a/b", '/'),
            ("..", '.'),
            ("Past", 'P'),
            ("a,b", ','),
            ("a\0", '\0'),
            ("é", 'é'),
        ] {
            let error = bad.parse::<MachineName>().unwrap_err();
            let name = bad.to_owned();
            assert_eq!(error, ParseNameError::Character { name, found });
        }
        let error = |text: &str| text.parse::<MachineName>().unwrap_err();
        assert_eq!(error(""), ParseNameError::Empty);
        assert_eq!(error(&"a".repeat(33)), ParseNameError::Long(33));
        assert_eq!(error("-a"), ParseNameError::Hyphen("-a".into()));
        assert_eq!(error("a-"), ParseNameError::Hyphen("a-".into()));
    }
}
