//! The crate against what real tools wrote.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed unwrap is a failed test, and one that cannot run says so"
)]

mod data;
mod export;
mod narinfo_guix;
mod narinfo_hostile;
mod narinfo_nix;
mod nix_keys;
mod real;
mod signatures;
