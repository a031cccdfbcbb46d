//! Inputs, from the coordinator into the agent's store.

mod decode;
mod error;
mod fetcher;
mod source;
mod wanted;

pub(crate) use error::FetchError;
pub(crate) use fetcher::Fetcher;
pub(crate) use wanted::Wanted;
