//! Grange's embedded builder: a store in a directory, and builds in Linux namespaces.
//!
//! [`SandboxStore`] is a [`LocalStore`](grange_interfaces::LocalStore) in any directory, for any user. [`SandboxBuilder`] is a
//! [`Builder`](grange_interfaces::Builder) that builds into it as guix-daemon and nix-daemon do: a build sees its inputs, read-only,
//! under the store directory that their hashes are made for, the build directory, environment, user and limits of the
//! daemon whose store that is, no other process, and no network unless its output is fixed. Outputs are made canonical,
//! hashed, scanned for references and checked before they are valid. `builtin:download`, `builtin:git-download` and
//! `builtin:fetchurl` are builders, too.
//!
//! Namespaces are made by a helper process. That is the embedding program itself, run again, so it has to call
//! [`init_main`] first thing in `main`:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use grange_derivation::StoreDir;
//! use grange_sandbox::{SandboxBuilder, SandboxConfig, SandboxStore, StoreConfig};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     grange_sandbox::init_main();
//!     let runtime = tokio::runtime::Runtime::new()?;
//!     runtime.block_on(async {
//!         let config = StoreConfig::new("/var/lib/farm/store", StoreDir::guix());
//!         let store = Arc::new(SandboxStore::open(config)?);
//!         let builder = SandboxBuilder::new(store, SandboxConfig::default()).await?;
//!         println!("{:?}", grange_interfaces::Builder::offers(&builder).systems);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Needed: Linux 5.12 or later; user, mount, pid, net, ipc and uts namespaces, for everybody or for root, which
//! [`check_support`] finds out. As root, each build runs as a user of its own; otherwise all run as whoever runs the agent, in
//! namespaces of their own.
//!
//! # What it does not do
//!
//! * It does not bound the memory and processor time of a whole build: [`ProcessLimits`] are of each process. Where builds
//!   are not trusted to share a machine, control groups around the agent do that.
//! * Builds with fixed outputs share the machine's network, abstract Unix sockets included, as with nix-daemon 2.8.
//! * `__structuredAttrs`, `__noChroot`, `unpack` of `builtin:fetchurl`, recursive Nix: refused as unsupported.

mod attempt;
mod builder;
mod builtin;
mod config;
mod dialect;
mod environment;
mod init;
mod machine;
mod output;
mod plan;
mod references;
mod root;
mod run;
pub mod scheme;
mod scratch;
mod store;
mod support;
mod tree;
mod users;

pub use builder::SandboxBuilder;
pub use config::{Helper, ProcessLimits, SandboxConfig, StoreConfig};
pub use init::{INIT_MARKER, init_main};
pub use store::{Hold, Missing, OpenError, SandboxStore};
pub use support::{NotSupported, check_support};
