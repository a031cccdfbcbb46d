//! Running the programs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use serde_json::Value;

pub(crate) const GRANGE: &str = env!("CARGO_BIN_EXE_grange");
pub(crate) const COORDINATOR: &str = env!("CARGO_BIN_EXE_grange-coordinator");
pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_grange-agent");

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

/// What came of a program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Each line of standard output as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let line = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {self:?}"))
        };
        self.stdout.lines().map(line).collect()
    }

    /// The same program, which must have ended so.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `grange`.
pub(crate) fn grange(arguments: &[&str]) -> Ran {
    program(GRANGE).args(arguments).output().unwrap().into()
}

/// A process that is told to stop, and then must, when the test is done with it.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn new(child: Child) -> Self {
        Self(child)
    }

    /// Sends SIGTERM and waits; gives the status.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.terminate();
        self.0.wait().unwrap().code()
    }

    fn terminate(&self) {
        let killed = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(killed.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// A coordinator on a port and a socket of its own.
#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) running: Running,
    /// `http://…`, where it listens.
    pub(crate) url: String,
    /// Where it publishes, if it does.
    pub(crate) published: Option<String>,
    /// `unix:…`, where its operators reach it.
    pub(crate) admin: String,
}

impl Coordinator {
    /// Starts one with its state in `directory`, and waits until it listens.
    pub(crate) fn start(directory: &Path, more: &[&str]) -> Self {
        let admin = format!("unix:{}", socket(directory).display());
        let mut command = program(COORDINATOR);
        command
            .arg("--json")
            .arg("--state-dir")
            .arg(directory.join("coordinator"));
        command
            .args(["--listen", "127.0.0.1:0", "--admin", &admin])
            .args(more);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let running = Running::new(child);
        let (found, found_address) = mpsc::channel();
        // Reads on to the end, so that the coordinator can always write.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let value: Value = serde_json::from_str(&line).unwrap_or_default();
                match value["fields"]["address"].as_str() {
                    Some(address) if address.starts_with("127.0.0.1") => {
                        drop(found.send(address.to_owned()))
                    }
                    _ => eprintln!("coordinator: {line}"),
                }
            }
        });
        let address = found_address
            .recv()
            .expect("the coordinator says where it listens");
        let mut all = Self {
            running,
            url: format!("http://{address}"),
            published: None,
            admin,
        };
        if more.contains(&"--publish") {
            all.published = Some(found_address.recv().expect("it says where it publishes"));
        }
        all
    }

    /// Runs `grange` as an operator.
    pub(crate) fn grange(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(GRANGE);
        command.args(["--coordinator", &self.admin]).args(arguments);
        command
    }
}

pub(crate) fn socket(directory: &Path) -> PathBuf {
    directory.join("admin.sock")
}
