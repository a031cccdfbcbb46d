//! What operators write about a farm that is replayed.

use serde::de::DeserializeOwned;

/// Why something that describes a replay cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{of}: {what}")]
pub struct ConfigError {
    /// Of what, such as `fleet`.
    pub of: &'static str,
    /// What is wrong and where in it.
    pub what: String,
}

impl ConfigError {
    pub(crate) fn new(of: &'static str, what: impl Into<String>) -> Self {
        Self {
            of,
            what: what.into(),
        }
    }
}

/// Milliseconds: no build takes longer at speed 1.
pub(crate) const YEAR_MS: u64 = 365 * 86_400_000;
/// Milliseconds from the start: no farm runs longer, and nothing is asked for later.
pub(crate) const END_MS: u64 = 100_000 * YEAR_MS;

/// Reads TOML.
pub(crate) fn read<T: DeserializeOwned>(of: &'static str, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.as_bytes()[..at.min(text.len())]
            .iter()
            .filter(|byte| **byte == b'\n');
        let what = error.message().replace('\n', " ");
        ConfigError::new(of, format!("line {}: {what}", line.count() + 1))
    })
}
