//! Why an input did not come.

use std::time::Duration;

use grange_derivation::StorePath;
use grange_interfaces::{LocalStoreError, Refusal};

use crate::calls::{is_void, retry_after};

/// Why an input did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FetchError {
    /// The coordinator was not reached, or not long enough.
    Later {
        message: String,
        retry_after: Option<Duration>,
    },
    /// The coordinator does not have it, and nobody else gave it.
    Missing {
        path: StorePath,
        /// Why substitute servers did not, if they were asked.
        why: Option<String>,
    },
    /// There is no room for it.
    Full,
    /// It is not what was announced, or the store failed.
    Other(String),
}

impl FetchError {
    /// The coordinator refused to give `path`.
    pub(crate) fn refused(path: &StorePath, refusal: &Refusal) -> Self {
        match refusal {
            refusal if is_void(refusal) => Self::missing(path),
            refusal if refusal.fault == grange_interfaces::Fault::Caller => {
                Self::Other(format!("the coordinator does not give {path}: {refusal}"))
            }
            refusal => Self::Later {
                message: refusal.to_string(),
                retry_after: retry_after(refusal),
            },
        }
    }

    pub(crate) fn missing(path: &StorePath) -> Self {
        Self::Missing {
            path: path.clone(),
            why: None,
        }
    }

    /// The same, with why no substitute server gave it.
    pub(crate) fn with_why(self, upstream: Option<String>) -> Self {
        match self {
            Self::Missing { path, why } => Self::Missing {
                path,
                why: upstream.or(why),
            },
            other => other,
        }
    }

    /// The store did not take `path`.
    pub(crate) fn import(path: &StorePath, error: &LocalStoreError) -> Self {
        match error {
            LocalStoreError::MissingReference { reference, .. } => Self::missing(reference),
            LocalStoreError::Full => Self::Full,
            error => Self::Other(format!("{path} cannot be imported: {error}")),
        }
    }
}
