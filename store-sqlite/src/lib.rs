//! Grange's [`Datastore`](grange_interfaces::Datastore) in one SQLite file.
//!
//! ```no_run
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! use grange_interfaces::{Claim, Datastore};
//! use grange_store_sqlite::{SqliteConfig, SqliteDatastore, path_of_uri};
//!
//! let path = path_of_uri("sqlite:/var/lib/grange/grange.db")?;
//! let store = SqliteDatastore::open(&path, SqliteConfig::default())?;
//! let claimed = store.claim(Claim::Exclusive).await?;
//! # let _ = claimed; Ok(())
//! # }
//! ```
//!
//! How it is laid out (`schema/`): live records by dense integer; one journal row per commit; one
//! row per finished build. One thread writes, in `BEGIN IMMEDIATE` transactions with
//! `synchronous=FULL`; another moves the write-ahead log into the database, so that commits do not
//! pay for it; read-only connections answer everything else from snapshots.
//!
//! Beside the database `FILE` lie `FILE-wal` and `FILE-shm` (SQLite's) and `FILE-lock`, which tells
//! a second process that the first one runs. A backup is made with SQLite's own means
//! (`sqlite3 FILE '.backup …'`), never by copying `FILE` alone while a coordinator runs.
//!
//! **Invariant:** no type of `rusqlite` appears in a public signature.

mod check;
mod commit;
mod config;
mod connection;
mod error;
mod finished;
mod gets;
mod keeper;
mod load;
mod lock;
mod query;
mod read;
mod readers;
mod schema;
mod statements;
mod store;
mod uri;
mod writer;

pub use check::CheckReport;
pub use config::SqliteConfig;
pub use store::SqliteDatastore;
pub use uri::{UriError, path_of_uri};
