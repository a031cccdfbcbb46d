//! How connections are opened.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use grange_interfaces::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::SqliteConfig;
use crate::error::{at, io};

/// Bytes of a database page, SQLite's default; what the write-ahead log is counted in.
pub(crate) const PAGE: u64 = 4096;
/// Bytes of pages that each reading connection may hold in memory.
const READER_CACHE: u64 = 8 << 20;

/// Makes the file if it is not there, readable by its owner alone: it holds password hashes.
/// SQLite gives the files beside it the same mode.
pub(crate) fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made
            .map(drop)
            .map_err(io(format!("cannot make {}", path.display()))),
    }
}

/// The connection that writes.
pub(crate) fn writer(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    let connection = open(
        path,
        config,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        config.writer_cache,
    )?;
    let set = |name: &str, value: &str| {
        connection
            .pragma_update(None, name, value)
            .map_err(at("cannot configure the writer"))
    };
    // A commit is on the disk when it returns, also after a power cut.
    set("synchronous", "FULL")?;
    // The keeper does it.
    set("wal_autocheckpoint", "0")?;
    Ok(connection)
}

/// Switches to a write-ahead log. This writes the file's header: only for databases that are ours.
pub(crate) fn use_wal(connection: &Connection, config: &SqliteConfig) -> Result<(), StoreError> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(at("cannot switch to a write-ahead log"))?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!(
            "SQLite can keep no write-ahead log here (it uses `{mode}`): the database must lie on a local file system"
        )));
    }
    // What the file may keep of a log that had grown.
    let limit = i64::try_from(config.wal_limit).unwrap_or(i64::MAX);
    connection
        .pragma_update(None, "journal_size_limit", limit)
        .map_err(at("cannot limit the write-ahead log"))
}

/// The connection that moves the write-ahead log into the database.
pub(crate) fn keeper(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    let connection = open(
        path,
        config,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        READER_CACHE,
    )?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(at("cannot configure the keeper"))?;
    // The writer may be waiting for it: readers that do not end are not waited for.
    connection
        .busy_timeout(std::time::Duration::from_millis(50))
        .map_err(at("cannot configure the keeper"))?;
    Ok(connection)
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path, config: &SqliteConfig) -> Result<Connection, StoreError> {
    // Not SQLITE_OPEN_READ_ONLY: after a crash the first reader has to rebuild the index of the log.
    let connection = open(
        path,
        config,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        READER_CACHE,
    )?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(at("cannot configure a reader"))?;
    connection.set_prepared_statement_cache_capacity(64);
    // A plan does not depend on what is asked for: else SQLite makes some anew for each question.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(at("cannot configure a reader"))?;
    Ok(connection)
}

fn open(
    path: &Path,
    config: &SqliteConfig,
    flags: OpenFlags,
    cache: u64,
) -> Result<Connection, StoreError> {
    let what = format!("cannot open {}", path.display());
    // Every connection is used by one thread at a time.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(at(&what))?;
    connection.busy_timeout(config.busy).map_err(at(&what))?;
    // Negative: KiB instead of pages.
    let kibibytes = i64::try_from(cache >> 10).unwrap_or(i64::MAX);
    connection
        .pragma_update(None, "cache_size", -kibibytes)
        .map_err(at(&what))?;
    Ok(connection)
}
