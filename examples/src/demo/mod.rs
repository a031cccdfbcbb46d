//! A graph of real derivations to try a farm with: C libraries and programs, their tests, what the programs compute,
//! manuals, bundles, and one library that does not pass its own tests.
//!
//! ```no_run
//! use grange_derivation::StoreDir;
//! use grange_examples::demo::{self, Toolchain};
//! use std::path::Path;
//!
//! let toolchain = Toolchain::find_or_fetch(Path::new("/var/cache/demo"))?;
//! let graph = demo::graph(&toolchain, &StoreDir::guix())?;
//! println!("{} derivations with {toolchain}, {} to submit", graph.derivations.len(), graph.roots.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `toolchain`, `fetch` | a compiler: from Debian packages into a directory, or the host's |
//! | `embedded` | the sources in `demo/`, part of this crate |
//! | `recipe`, `kit` | from names and shell scripts to derivations |
//! | `plan` | which derivations there are |
//!
//! **Invariant:** the same toolchain and store directory give the same graph, and every build in it the same bytes.

mod embedded;
mod fetch;
mod graph;
mod kit;
mod plan;
mod recipe;
mod toolchain;

pub use fetch::FetchError;
pub use graph::{DemoGraph, Expected, GraphError, SourceContent, graph};
pub use toolchain::{Toolchain, ToolchainError};
