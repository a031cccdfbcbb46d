//! Builders that are not programs: `builtin:download`, `builtin:git-download`, `builtin:fetchurl`.
//!
//! Their output is fixed, and checked like any other: what comes over the network is not trusted for coming from
//! where it was asked for.

mod download;
mod git;
mod http;
mod run;

pub(crate) use run::Builtin;
