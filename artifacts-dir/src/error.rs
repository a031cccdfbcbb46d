//! The operating system's errors in the words of the contract.

use std::io::{Error, ErrorKind};
use std::path::Path;

use grange_interfaces::ArtifactError;
use tokio::task::JoinError;

/// For `map_err`: what could not be done, and with which file.
pub(crate) fn at<'a>(what: &'a str, path: &'a Path) -> impl Fn(Error) -> ArtifactError + 'a {
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ArtifactError::Full,
        kind => ArtifactError::Io(Error::new(
            kind,
            format!("cannot {what} {}: {error}", path.display()),
        )),
    }
}

/// For `map_err`: a thread that waits for the disk has ended without an answer.
pub(crate) fn ended(error: JoinError) -> ArtifactError {
    ArtifactError::Io(Error::other(error))
}
