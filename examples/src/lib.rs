//! Examples of embedding Grange, and the graph that `grange demo` builds.
//!
//! The example programs are in `examples/`; this library is what they and the `grange` program share.
//!
//! [`append_log`], [`pager`], [`ageing`] and [`licensed`] are parts of an embedder's own, each proven by Grange's
//! conformance suite for it (`tests/own`). [`demo`] ends where a graph of derivations is complete; [`hello`] is what the
//! example farms build.

/// The blocks of docs/embedding.md.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;

pub mod ageing;
pub mod append_log;
pub mod demo;
pub mod hello;
pub mod licensed;
pub mod pager;
