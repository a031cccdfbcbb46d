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
    /// The coordinator does not have it.
    Missing(StorePath),
    /// There is no room for it.
    Full,
    /// It is not what was announced, or the store failed.
    Other(String),
}

impl FetchError {
    /// The coordinator refused to give `path`.
    pub(crate) fn refused(path: &StorePath, refusal: &Refusal) -> Self {
        match refusal {
            refusal if is_void(refusal) => Self::Missing(path.clone()),
            refusal if refusal.fault == grange_interfaces::Fault::Caller => {
                Self::Other(format!("the coordinator does not give {path}: {refusal}"))
            }
            refusal => Self::Later {
                message: refusal.to_string(),
                retry_after: retry_after(refusal),
            },
        }
    }

    /// No substitute server gave `path`, and the coordinator does not have it.
    pub(crate) fn upstream(path: &StorePath, why: &str) -> Self {
        Self::Other(format!(
            "{path} did not come from a substitute server: {why}"
        ))
    }

    /// The store did not take `path`.
    pub(crate) fn import(path: &StorePath, error: &LocalStoreError) -> Self {
        match error {
            LocalStoreError::MissingReference { reference, .. } => Self::Missing(reference.clone()),
            LocalStoreError::Full => Self::Full,
            error => Self::Other(format!("{path} cannot be imported: {error}")),
        }
    }
}
