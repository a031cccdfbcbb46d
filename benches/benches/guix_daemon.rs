//! A farm on a real guix-daemon against `guix build` on the same daemon.
//!
//! Trivial derivations, one build at a time: 100 that need nothing of each other, and a chain of 20; see
//! [`grange_benches::compare`].
//!
//! Needs root, and what `cargo xtask verify --install` gets: `target/guix` and `target/seeds`.

use std::process::ExitCode;

use grange::derivation::Dialect;

fn main() -> ExitCode {
    grange_benches::run("guix_daemon", || grange_benches::compare(Dialect::Guix))
}
