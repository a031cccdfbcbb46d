//! Inputs, from the coordinator or a substitute server into the agent's store.

mod decode;
mod error;
mod fetcher;
mod source;
mod upstream;
mod wanted;

pub(crate) use error::FetchError;
pub(crate) use fetcher::Fetcher;
pub(crate) use wanted::{File, Wanted};
