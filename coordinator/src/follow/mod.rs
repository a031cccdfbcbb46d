//! Followers: hooks that are given the journal, each at its own pace.

mod deliver;
mod missing_inputs;
pub(crate) mod record;
mod reopen;

pub(crate) use deliver::run;
pub use missing_inputs::MissingInputs;
pub use reopen::Reopen;
