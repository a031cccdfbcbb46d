//! SQLite's errors in the words of the contract.

use grange_interfaces::StoreError;
use grange_model::CodecError;
use rusqlite::{Error, ErrorCode};

/// What an error of SQLite means to the caller, where it came up while doing `what`.
///
/// Codes: <https://www.sqlite.org/rescode.html>.
pub(crate) fn sqlite(what: &str, error: &Error) -> StoreError {
    let message = format!("{what}: {error}");
    let Some(code) = error.sqlite_error_code() else {
        // A column holds what this program never writes.
        return StoreError::Corrupt(message);
    };
    match code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::OutOfMemory
        | ErrorCode::OperationInterrupted
        | ErrorCode::OperationAborted
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NoLargeFileSupport => StoreError::Unavailable(message),
        _ => StoreError::Corrupt(message),
    }
}

/// What it means that a record does not decode.
pub(crate) fn codec(what: &str, error: &CodecError) -> StoreError {
    StoreError::Corrupt(format!("{what}: {error}"))
}

/// For `map_err`: [`sqlite`] with what was being done.
pub(crate) fn at(what: &str) -> impl Fn(Error) -> StoreError + '_ {
    move |error| sqlite(what, &error)
}

/// For `map_err`: an error of the operating system about a file beside the database.
pub(crate) fn io(what: String) -> impl FnOnce(std::io::Error) -> StoreError {
    move |error| StoreError::Unavailable(format!("{what}: {error}"))
}
