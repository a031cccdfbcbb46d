//! Where core and model differ.

use std::fmt;

/// The core and the model differ, or the core broke a rule: a defect of one of the two.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {detail}")]
pub struct Mismatch {
    /// What was compared.
    pub what: &'static str,
    /// What each of them says.
    pub detail: String,
}

impl Mismatch {
    pub(super) fn new(what: &'static str, detail: impl Into<String>) -> Self {
        Self {
            what,
            detail: detail.into(),
        }
    }
}

/// An error unless both are the same.
pub(super) fn same<T: PartialEq + fmt::Debug>(
    what: &'static str,
    of: impl fmt::Debug,
    core: &T,
    model: &T,
) -> Result<(), Mismatch> {
    if core == model {
        return Ok(());
    }
    let detail = format!("{of:?}: the core says {core:?}, the model {model:?}");
    Err(Mismatch::new(what, detail))
}

/// An error unless it holds.
pub(super) fn hold(
    what: &'static str,
    holds: bool,
    detail: impl FnOnce() -> String,
) -> Result<(), Mismatch> {
    if holds {
        Ok(())
    } else {
        Err(Mismatch::new(what, detail()))
    }
}
