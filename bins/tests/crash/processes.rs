//! Programs that are killed and started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a shell of the machine needs to run in the sandbox.
const SHELL: [&str; 5] = ["/bin", "/lib", "/lib32", "/lib64", "/usr"];

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

/// A program that runs, and its log.
pub(crate) struct Process {
    arguments: Vec<String>,
    log: PathBuf,
    child: Child,
}

impl Process {
    pub(crate) fn start(arguments: Vec<String>, log: PathBuf) -> Self {
        let child = spawn(&arguments, &log);
        Self {
            arguments,
            log,
            child,
        }
    }

    /// `kill -9`, and another one at once.
    pub(crate) fn crash(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended by itself: {}", self.log_text());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.arguments, &self.log);
    }

    /// All that it and those before it said.
    pub(crate) fn whole_log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The last lines of that.
    fn log_text(&self) -> String {
        let text = self.whole_log();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}:\n{}", self.log.display(), self.log_text());
        }
        // Asked, it ends its builds and unmounts what it mounted.
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let end = Instant::now() + Duration::from_secs(5);
        while asked.is_ok() && Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(arguments: &[String], log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = program(&arguments[0]);
    command
        .args(&arguments[1..])
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().unwrap()
}

/// Where a farm lies and how it is reached.
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    /// `unix:…`, for operators.
    pub(crate) admin: String,
    address: String,
}

impl Place {
    pub(crate) fn new(directory: &Path) -> Self {
        // The port must stay the same; that it is taken in the meantime is unlikely.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            directory: directory.to_owned(),
            admin: format!("unix:{}", directory.join("admin.sock").display()),
            address: port.local_addr().unwrap().to_string(),
        }
    }

    fn at(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    pub(crate) fn coordinator(&self) -> Process {
        let state = self.at("coordinator");
        let words = [
            env!("CARGO_BIN_EXE_grange-coordinator"),
            "--state-dir",
            &state,
            "--listen",
            &self.address,
            "--admin",
            &self.admin,
        ];
        let words = words.map(str::to_owned).to_vec();
        Process::start(words, self.directory.join("coordinator.log"))
    }

    /// An agent that the coordinator knows.
    pub(crate) fn agent(&self) -> Process {
        let id = self.grange(&["agent", "new"]);
        let id = id.trim();
        let password = self.grange(&["agent", id, "password", "new"]);
        fs::write(self.directory.join("password"), password).unwrap();
        let (url, file, state) = (
            format!("http://{}", self.address),
            self.at("password"),
            self.at("agent"),
        );
        let words = [
            env!("CARGO_BIN_EXE_grange-agent"),
            "--coordinator",
            &url,
            "--uuid",
            id,
            "--password-file",
            &file,
            "--state-dir",
            &state,
            "--max-parallel-builds",
            "2",
        ];
        let mut words = words.map(str::to_owned).to_vec();
        for path in SHELL.iter().filter(|path| Path::new(path).exists()) {
            words.extend(["--sandbox-path".to_owned(), (*path).to_owned()]);
        }
        Process::start(words, self.directory.join("agent.log"))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(env!("CARGO_BIN_EXE_grange"));
        command.args(["--coordinator", &self.admin]).args(arguments);
        command
    }

    /// What came of `grange`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What `grange` says, which must go well once the coordinator is there again.
    pub(crate) fn grange(&self, arguments: &[&str]) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        let mut output = self.run(arguments);
        while output.status.code() == Some(69) && Instant::now() < end {
            output = self.run(arguments);
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
