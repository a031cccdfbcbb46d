//! All that fuzzers kept is tried again.

#![expect(clippy::unwrap_used, reason = "tests")]

mod corpora;
mod mutants;
