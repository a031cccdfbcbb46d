//! What is other in a test build that can die at its fail points: `docs/design/0010-fail-points.md`.

use grange_store_sqlite::SqliteConfig;

/// The process dies where the file says that `GRANGE_FAIL_POINT` names.
#[cfg(grange_fail_points)]
pub(crate) fn control() {
    if let Some(file) = std::env::var_os("GRANGE_FAIL_POINT") {
        grange_fail_points::control(file.into());
    }
}

/// Nothing: this is no test build.
#[cfg(not(grange_fail_points))]
pub(crate) const fn control() {}

/// How the database is used.
pub(crate) fn sqlite_config() -> SqliteConfig {
    // So that the write-ahead log is moved, and begun anew, every few builds.
    #[cfg(grange_fail_points)]
    return SqliteConfig {
        checkpoint_at: 128 << 10,
        wal_limit: 512 << 10,
        ..SqliteConfig::default()
    };
    #[cfg(not(grange_fail_points))]
    SqliteConfig::default()
}
