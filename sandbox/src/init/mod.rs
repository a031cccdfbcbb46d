//! The helper process: makes the namespaces, and waits for what runs in them.
//!
//! It is a program of its own because namespaces are made by forking, and a process with several threads (tokio's)
//! cannot do anything but `exec` after that. It has one thread, starts no runtime and reads no configuration.
//!
//! Two processes: the *parent* stays outside of the namespaces, maps user and group, waits, and kills when the
//! builder's end of the socket is closed. The *child* makes the root and becomes the build's process 1. When process 1
//! dies, the kernel kills all others of its namespace before `wait` returns: that is how the whole tree ends.

mod child;
mod mounts;
mod parent;
mod seccomp;
mod sys;

use std::process::ExitCode;

/// The argument that makes a program the helper.
pub const INIT_MARKER: &str = "grange-sandbox-init";

/// Becomes the helper process if that is what this process was started as; returns at once otherwise.
///
/// Programs that embed the sandbox call it first thing in `main`, before any thread and any runtime is started; the crate's
/// own page has an example.
pub fn init_main() {
    let mut arguments = std::env::args_os();
    if arguments
        .nth(1)
        .is_some_and(|argument| argument == INIT_MARKER)
        && arguments.next().is_none()
    {
        // The helper's own exit status means nothing: what it has to say was reported.
        let _: ExitCode = parent::run();
        sys::exit(0);
    }
}
