//! All traps that are known.

use serde::Deserialize;

use super::{Environment, MergeError, Package, Trap};

/// What is shipped.
const SHIPPED: &str = include_str!("../../traps.toml");

/// Traps, in the order in which they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    traps: Vec<Trap>,
}

/// That is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadCatalogueError {
    /// It is no TOML, or has other keys.
    #[error("it is no catalogue of traps")]
    Toml(#[from] toml::de::Error),
    /// A trap cannot be one.
    #[error("the trap of {package} {what}")]
    Trap {
        /// Whose.
        package: String,
        /// What is wrong.
        what: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    trap: Vec<Trap>,
}

impl Catalogue {
    /// What is shipped.
    #[must_use]
    pub fn shipped() -> Self {
        Self::read(SHIPPED).expect("a test reads it")
    }

    /// Reads one in TOML: tables `[[trap]]`, with the fields of [`Trap`].
    ///
    /// # Errors
    ///
    /// It is none, or one of its traps cannot be.
    pub fn read(text: &str) -> Result<Self, ReadCatalogueError> {
        let file: File = toml::from_str(text)?;
        for trap in &file.trap {
            let wrong = |what| ReadCatalogueError::Trap {
                package: trap.package.clone(),
                what,
            };
            if trap.environment.is_any() {
                return Err(wrong("names no environment in which it builds"));
            }
            if let (Some(date), Some(expires)) = (trap.environment.date, trap.expires)
                && date >= expires
            {
                return Err(wrong("names a date at which it has expired"));
            }
        }
        Ok(Self { traps: file.trap })
    }

    /// Adds further ones.
    pub fn extend(&mut self, other: Self) {
        self.traps.extend(other.traps);
    }

    /// All of them.
    #[must_use]
    pub fn traps(&self) -> &[Trap] {
        &self.traps
    }

    /// Those that catch a package that is built on a machine of today. `now`: seconds since 1970.
    pub fn catching(&self, package: &Package, now: i64) -> impl Iterator<Item = &Trap> {
        let package = package.clone();
        self.traps
            .iter()
            .filter(move |trap| trap.catches(&package, now))
    }

    /// Where that package builds.
    ///
    /// # Errors
    ///
    /// It is in several traps, and no environment avoids all of them.
    pub fn environment(&self, package: &Package, now: i64) -> Result<Environment, MergeError> {
        let mut catching = self.catching(package, now);
        catching.try_fold(Environment::default(), |all, trap| {
            all.and(&trap.environment)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01.
    const NOW: i64 = 1_767_225_600;

    fn environment(derivation: &str, now: i64) -> String {
        let environment = Catalogue::shipped().environment(&Package::of(derivation), now);
        environment.unwrap().to_string()
    }

    #[test]
    fn what_is_shipped_knows_the_traps_of_this_field() {
        for (derivation, expected) in [
            ("openssl-1.1.1l", "date=2020-01-01"),
            ("openssl-1.1.1p", "any"),
            ("openssl-3.0.3", "date=2022-01-01"),
            ("gnutls-3.6.12", "date=2020-01-01"),
            ("gnutls-3.7.2", "any"),
            ("python-3.6.5", "date=2020-01-01"),
            ("python-minimal-3.7.0", "date=2020-01-01"),
            ("python-3.9.9", "any"),
            ("openblas-0.2.20", "cpu=Haswell"),
            ("openblas-0.3.9", "cpu=Skylake-Client"),
            ("hello-2.12", "any"),
        ] {
            assert_eq!(environment(derivation, NOW), expected, "{derivation}");
        }
    }

    #[test]
    fn a_trap_that_has_not_sprung_yet_catches_nothing() {
        let expires = "2022-06-01"
            .parse::<crate::machine::VirtualDate>()
            .unwrap()
            .unix_seconds();
        assert_eq!(environment("openssl-1.1.1l", expires - 1), "any");
        assert_eq!(environment("openssl-1.1.1l", expires), "date=2020-01-01");
    }

    #[test]
    fn others_are_added_and_mistakes_are_told() {
        let mut catalogue = Catalogue::shipped();
        let text = "[[trap]]\npackage = \"hello\"\nenvironment = { kernel = \"5.10\" }\nwhy = \"w\"\nevidence = \"e\"\n";
        catalogue.extend(Catalogue::read(text).unwrap());
        let hello = catalogue
            .environment(&Package::of("hello-2.12"), NOW)
            .unwrap();
        assert_eq!(hello.to_string(), "kernel=5.10");
        let error = |text: &str| Catalogue::read(text).unwrap_err().to_string();
        assert!(matches!(
            Catalogue::read("[[trap]]\npakage = 1\n"),
            Err(ReadCatalogueError::Toml(_))
        ));
        let none = text.replace("kernel = \"5.10\"", "");
        assert_eq!(
            error(&none),
            "the trap of hello names no environment in which it builds"
        );
        let late = text.replace("kernel = \"5.10\"", "date = \"2021-01-01\"");
        let late = late.replace("environment", "expires = \"2020-01-01\"\nenvironment");
        assert_eq!(
            error(&late),
            "the trap of hello names a date at which it has expired"
        );
    }
}
