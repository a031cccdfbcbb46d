//! Builder and LocalStore of a real guix-daemon or nix-daemon.
//!
//! [`DaemonStore`] is a [`LocalStore`](grange_interfaces::LocalStore) and [`DaemonBuilder`] a
//! [`Builder`](grange_interfaces::Builder) on the store of a daemon that listens on a Unix socket. Agents build only what
//! they were told to, so substitutes and offloading are off, and a daemon that begins to build or to fetch anything else
//! ends the attempt. [`wire`] is the protocol without I/O, for whoever wants to speak it otherwise.
//!
//! ```no_run
//! use grange_daemon_protocol::{BuilderConfig, DaemonBuilder, DaemonConfig, DaemonStore, FarmKey};
//! use grange_derivation::StoreDir;
//! use grange_signatures::guix::SecretKey;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = DaemonConfig::new("/var/guix/daemon-socket/socket", StoreDir::guix());
//! let key = std::fs::read("/etc/grange/farm-key.sec")?;
//! config.farm_key = Some(FarmKey::Guix(SecretKey::parse(&key)?));
//! let store = DaemonStore::connect(config).await?;
//! store.probe().await?; // or the command that authorises the key
//! let builder = DaemonBuilder::new(store, BuilderConfig::new());
//! # let _ = builder;
//! # Ok(())
//! # }
//! ```
//!
//! | | guix-daemon 1.2.0 (0x163), 1.5.0 (0x164) | nix-daemon 2.8 (0x122) to 2.34 (0x126) |
//! |---|---|---|
//! | texts, `.drv` | add-text-to-store | add-to-store-nar |
//! | sources | add-to-store | add-to-store-nar |
//! | all else | import-paths, signed with the farm key | add-to-store-nar, as a trusted user |
//! | a build | build-things, with the `.drv` and all that it refers to in the store | build-derivation, with its inputs |
//! | the log | multiplexed, so that a builder cannot forge traces; bytes | lines of activities |
//! | a nar | export-path | nar-from-path |
//!
//! # What it does not do
//!
//! * A nix-daemon sends the log by lines: a last line without newline gets one, and what stands before a carriage return is
//!   gone.
//! * It does not know how many users a daemon has for its builds: [`BuilderConfig::max_parallel_builds`] does.
//! * When a build was stopped, the daemon kills what is left of it as it notices that the connection is closed, which is at
//!   once but not waited for.

mod builder;
mod config;
mod connection;
mod delete;
mod dialect;
mod error;
mod export;
mod import;
mod incoming;
mod pool;
mod probe;
mod roots;
mod store;
mod verdict;
pub mod wire;

pub use builder::DaemonBuilder;
pub use config::{BuilderConfig, DaemonConfig, FarmKey};
pub use error::DaemonError;
pub use store::{DaemonInfo, DaemonStore};
