//! Programs that run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that does not see what the tester's environment says of Grange.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    for variable in [
        "GRANGE_COORDINATOR",
        "GRANGE_TOKEN_FILE",
        "GRANGE_CA",
        "GRANGE_LOG",
        "NOTIFY_SOCKET",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// A program that runs until it is dropped, and its log.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(words: &[String], log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = program(&words[0])
            .args(&words[1..])
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Self {
            child,
            log: log.to_owned(),
        }
    }

    pub(crate) fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// A number of `/proc/PID/status` in KiB: `VmHWM`, `VmRSS`.
    pub(crate) fn kibibytes(&self, name: &str) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Open files.
    pub(crate) fn files(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(directory).unwrap().count()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            println!("{}:\n{last}", self.log.display());
        }
        // Asked, it ends its builds and unmounts what it mounted.
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let end = Instant::now() + Duration::from_secs(5);
        while asked.is_ok() && Instant::now() < end {
            if !self.is_running() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
