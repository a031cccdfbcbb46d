//! Against servers that are scripted, and against real ones where there are any.
//!
//! Real ones are found through the environment, which `cargo xtask verify` sets; without it their tests say that they were
//! skipped.
//!
//! | variable | what it is |
//! |---|---|
//! | `GRANGE_TEST_GUIX_PUBLISH`, `GRANGE_TEST_GUIX_PUBLISH_KEY` | the URL of a `guix publish`, and the public key that it signs with |
//! | `GRANGE_TEST_GUIX_PUBLISH_ITEM` | a store path that it has |
//! | `GRANGE_TEST_NIX_CACHES`, `GRANGE_TEST_NIX_CACHES_KEY` | a directory of caches that `nix copy` made, and the public key that signed them |
//! | `GRANGE_TEST_NIX_CACHES_ITEM` | a store path that they have |
#![expect(clippy::unwrap_used, reason = "what fails in a test shall stop it")]

mod away;
mod fake;
mod found;
mod hostile;
mod item;
mod nars;
mod real;
mod tls;
