//! The protocol over real connections.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bodies;
mod calls;
mod conformance;
mod curl;
mod fake;
mod golden;
mod limits;
mod malformed;
mod pages;
mod raw;
mod stopping;
mod support;
mod tls;
mod unix;
mod versions;
