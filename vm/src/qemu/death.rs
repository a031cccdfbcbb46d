//! The one thing here that needs `unsafe`.

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::process::Command;

/// Has the kernel kill what `command` starts when the thread that starts it ends, so that no emulator runs on without anybody who
/// looks after it.
pub(super) fn die_with_parent(command: &mut Command) {
    let set = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec only what is safe in a signal handler may be called; this is one prctl(2), which neither allocates nor locks.
    unsafe {
        command.pre_exec(set);
    }
}
