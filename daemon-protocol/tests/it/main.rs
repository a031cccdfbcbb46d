//! Against daemons that are scripted, and against real ones where there are any.
//!
//! Real ones are found through the environment, which `cargo xtask verify` sets; without it their tests say that they were
//! skipped.
//!
//! | variable | what it is |
//! |---|---|
//! | `GRANGE_TEST_GUIX_SOCKET`, `GRANGE_TEST_NIX_SOCKET` | where the daemon listens; its store is `/gnu/store`, `/nix/store` |
//! | `GRANGE_TEST_GUIX_KEY` | a secret key that the guix-daemon authorises |
#![expect(clippy::unwrap_used, reason = "what fails in a test shall stop it")]

mod bad;
mod conformance;
mod fake;
mod real;
mod rig;
mod store;
