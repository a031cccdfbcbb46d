//! What can be set.

use std::time::Duration;

/// How a [`SqliteDatastore`](crate::SqliteDatastore) works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteConfig {
    /// How many questions are answered at once, each by a connection of its own; at least 1.
    /// Default 4. Each may hold 8 MiB of pages in memory.
    pub readers: usize,
    /// How long a write or a read waits for a lock that another process holds (a backup, an
    /// operator's `sqlite3`) before it is `Unavailable`. Default 5 s.
    pub busy: Duration,
    /// How many commits may wait for the writer before `commit` waits itself; at least 1.
    /// Default 16: the coordinator has one under way.
    pub queue: usize,
    /// Bytes of pages that the writer may hold in memory. Default 64 MiB; less makes commits read
    /// more from the disk.
    pub writer_cache: u64,
    /// Bytes in the write-ahead log from which on it is moved into the database, off the writer.
    /// Default 4 MiB; more makes rarer and longer work of it.
    pub checkpoint_at: u64,
    /// Bytes in the write-ahead log from which on the writer waits until it could be begun anew.
    /// Default 64 MiB. Only a reader that never ends can make the log larger.
    pub wal_limit: u64,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            readers: 4,
            busy: Duration::from_secs(5),
            queue: 16,
            writer_cache: 64 << 20,
            checkpoint_at: 4 << 20,
            wal_limit: 64 << 20,
        }
    }
}
