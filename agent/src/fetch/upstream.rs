//! An item from a substitute server.

use grange_interfaces::{ItemInfo, LocalStore, LocalStoreError, Upstream, UpstreamError};
use tracing::debug;

use super::FetchError;

/// How many nars of one item are begun: each that goes wrong makes upstream turn to another server.
const TRIES: u32 = 5;

/// Why no substitute server gave an item.
#[derive(Debug)]
pub(crate) enum UpstreamFailure {
    /// Others may have it.
    Not(String),
    /// It would not go into the store from anywhere.
    Store(FetchError),
}

/// Makes an item valid with a nar of upstream.
pub(crate) async fn import(
    upstream: &dyn Upstream,
    store: &dyn LocalStore,
    info: &ItemInfo,
) -> Result<(), UpstreamFailure> {
    let mut last = None;
    for _ in 0..TRIES {
        let nar = match upstream.nar(info).await {
            Ok(nar) => nar,
            // What was wrong with a nar says more than that nobody else has one.
            Err(error @ UpstreamError::Gone(_)) => {
                return Err(UpstreamFailure::Not(
                    last.unwrap_or_else(|| error.to_string()),
                ));
            }
            Err(error) => return Err(UpstreamFailure::Not(error.to_string())),
        };
        let Err(error) = store.import(info, nar).await else {
            return Ok(());
        };
        let path = &info.path;
        match error {
            LocalStoreError::Body(error) => last = Some(error.to_string()),
            error @ (LocalStoreError::Mismatch { .. } | LocalStoreError::Io(_)) => {
                last = Some(error.to_string());
            }
            error => return Err(UpstreamFailure::Store(FetchError::import(path, &error))),
        }
        debug!(%path, why = last, "a substitute did not come");
    }
    let why = last.unwrap_or_else(|| format!("{} did not come", info.path));
    Err(UpstreamFailure::Not(why))
}
