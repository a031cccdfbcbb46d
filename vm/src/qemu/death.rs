//! The one thing here that needs `unsafe`.

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use tokio::process::Command;

/// Has the kernel kill what `command` starts when the thread that starts it ends, so that no emulator runs on without anybody who
/// looks after it.
pub(super) fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    let set = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // One that has died in the meantime tells nobody.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(rustix::io::Errno::SRCH.into())
        }
    };
    // SAFETY: between fork and exec only what is safe in a signal handler may be called; these are prctl(2)
    // and getppid(2), which neither allocate nor lock.
    unsafe {
        command.pre_exec(set);
    }
}
