//! Switching off.

use rustix::process::{Pid, Signal, kill_process};
use rustix::system::{RebootCommand, reboot};

/// What is switched off when a host asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// The machine.
    Machine,
    /// This process: it is no machine's.
    Process,
}

impl Power {
    /// Ends everything. Comes back only if the kernel refuses.
    pub(crate) fn off(self) {
        if self == Self::Process {
            std::process::exit(0);
        }
        // Whatever still writes is not to be cut in the middle by the kernel.
        for pid in pids() {
            // It may have ended.
            let _: Result<(), _> = kill_process(pid, Signal::KILL);
        }
        rustix::fs::sync();
        if let Err(error) = reboot(RebootCommand::PowerOff) {
            eprintln!("grange-guest: cannot switch off: {error}");
        }
    }
}

/// All processes but this one and the first.
fn pids() -> impl Iterator<Item = Pid> {
    let own = i32::try_from(std::process::id()).unwrap_or(1);
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        if pid == own || pid == 1 {
            return None;
        }
        Pid::from_raw(pid)
    })
}
