//! What the crate does from outside.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails says where by a panic"
)]

mod command_line;
mod guix_secrets;
mod real_qemu;
mod secrets;
