//! Processes, what processor time they take and how much memory.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// Processor time, user and system, of all threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The process's own.
    pub own: Duration,
    /// That of its children which have ended and were waited for, and of theirs.
    pub children: Duration,
}

impl Cpu {
    /// What came on since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            own: self.own.saturating_sub(before.own),
            children: self.children.saturating_sub(before.children),
        }
    }
}

/// What a process has taken so far. The kernel counts in ticks, mostly of 10 ms: measure long enough.
///
/// # Errors
///
/// There is no such process.
pub fn cpu_of(pid: u32) -> anyhow::Result<Cpu> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("there is no process {pid}"))?;
    // Behind the name, which may hold anything: fields 3 on. 14 to 17 are utime, stime, cutime, cstime (proc(5)).
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let field = |number: usize| -> u64 {
        let text = behind.split_whitespace().nth(number - 3);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    let ticks = rustix::param::clock_ticks_per_second();
    let duration = |count: u64| Duration::from_nanos(count * (1_000_000_000 / ticks));
    Ok(Cpu {
        own: duration(field(14) + field(15)),
        children: duration(field(16) + field(17)),
    })
}

/// What this process has taken so far.
///
/// # Errors
///
/// `/proc` is not there.
pub fn own_cpu() -> anyhow::Result<Cpu> {
    cpu_of(std::process::id())
}

/// The most memory that a process had at once so far (`VmHWM`), in MiB. None once it has ended.
#[must_use]
pub fn peak_mib(pid: u32) -> Option<f64> {
    memory(pid, "VmHWM:")
}

/// The memory that a process has now (`VmRSS`), in MiB. None once it has ended.
#[must_use]
pub fn resident_mib(pid: u32) -> Option<f64> {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, what: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(what))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// A process of ours, killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a program. What it says on standard error goes to `log`; what it says otherwise, nowhere.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let log = fs::File::options().create(true).append(true).open(log)?;
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let program = command.get_program().to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// It cannot be waited for.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        kill_process(
            id.context("a process has an id that is not 0")?,
            Signal::TERM,
        )?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it ends by itself, and returns the most memory it had, in MiB, as of at most a millisecond before.
    ///
    /// # Errors
    ///
    /// It cannot be waited for.
    pub async fn ended(mut self) -> anyhow::Result<(ExitStatus, f64)> {
        let mut peak = 0.0_f64;
        loop {
            peak = peak.max(peak_mib(self.id()).unwrap_or_default());
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, peak));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_takes_time_and_memory() {
        let before = own_cpu().unwrap();
        let mut sum = 0_u64;
        while own_cpu().unwrap().since(before).own < Duration::from_millis(20) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
        // The kernel counts what is resident per thread and adds it up now and then, so
        // small differences mean nothing: 64 MiB that were touched are none.
        const MIB: usize = 64;
        let touched = std::hint::black_box(vec![1_u8; MIB << 20]);
        assert!(resident_mib(std::process::id()).unwrap() > MIB as f64 * 0.9);
        drop(touched);
        assert!(peak_mib(std::process::id()).unwrap() > MIB as f64 * 0.9);
    }

    #[tokio::test]
    async fn what_ended_says_how() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = Process::start(Command::new("sh").args(["-c", "exit 3"]), log.path());
        let (status, _) = process.unwrap().ended().await.unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(peak_mib(u32::MAX), None);
    }
}
