//! A coordinator and an agent as processes, in a directory.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_fail_points::Victim;

use crate::process::{Process, program};

/// What a shell of the machine needs to run in the sandbox.
const SHELL: [&str; 5] = ["/bin", "/lib", "/lib32", "/lib64", "/usr"];

/// What `grange` says if it does not reach the coordinator.
pub(crate) const UNREACHED: i32 = 69;

/// What it says if the coordinator's disk has failed it.
const DISK_ERRORS: [&str; 2] = ["the artifact store failed", "No space left on device"];

/// How long anything may take before it counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A farm.
#[derive(Debug)]
pub(crate) struct Farm {
    programs: PathBuf,
    /// Where the agent and what this program itself needs lie.
    pub(crate) directory: PathBuf,
    /// The coordinator's.
    pub(crate) state: PathBuf,
    pub(crate) admin: String,
    /// Where stock clients fetch.
    pub(crate) published: String,
    pub(crate) coordinator: Process,
    pub(crate) agent: Process,
    /// The disk may fail: that is said to users, and they try again.
    pub(crate) bad_disk: bool,
    /// How long each start of a coordinator took until it answered.
    pub(crate) recoveries: Vec<Duration>,
}

impl Farm {
    /// Nothing runs yet. `state` is the coordinator's directory.
    pub(crate) fn new(programs: &Path, directory: &Path, state: &Path) -> anyhow::Result<Self> {
        // The ports must stay the same; that one is taken in the meantime is unlikely.
        let free = || -> anyhow::Result<String> {
            Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
        };
        let (address, published) = (free()?, free()?);
        let admin = format!("unix:{}", directory.join("admin.sock").display());
        let words = [
            "--state-dir",
            path(state)?,
            "--listen",
            &address,
            "--admin",
            &admin,
            "--publish",
            &published,
        ];
        let coordinator = Process::new(
            programs.join("grange-coordinator"),
            words.map(str::to_owned).to_vec(),
            directory.join("coordinator.log"),
            directory.join("coordinator.dies"),
        );
        let config = directory.join("agent.toml");
        fs::write(&config, "durable-after = \"150ms\"\nwait = \"2s\"\n")?;
        let url = format!("http://{address}");
        let (password, place) = (directory.join("password"), directory.join("agent"));
        let id = uuid::Uuid::now_v7().to_string();
        let words = [
            "--config",
            path(&config)?,
            "--coordinator",
            &url,
            "--uuid",
            &id,
            "--password-file",
            path(&password)?,
            "--state-dir",
            path(&place)?,
            "--max-parallel-builds",
            "3",
        ];
        let mut words = words.map(str::to_owned).to_vec();
        for path in SHELL.iter().filter(|path| Path::new(path).exists()) {
            words.extend(["--sandbox-path".to_owned(), (*path).to_owned()]);
        }
        fs::write(directory.join("agent-id"), &id)?;
        let agent = Process::new(
            programs.join("grange-agent"),
            words,
            directory.join("agent.log"),
            directory.join("agent.dies"),
        );
        Ok(Self {
            programs: programs.to_owned(),
            directory: directory.to_owned(),
            state: state.to_owned(),
            admin,
            published,
            coordinator,
            agent,
            bad_disk: false,
            recoveries: Vec::new(),
        })
    }

    /// Starts the coordinator, and an agent that it knows.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.start_coordinator()?;
        let id = fs::read_to_string(self.directory.join("agent-id"))?;
        self.grange(&["agent", "new", "--id", &id])?;
        let password = self.grange(&["agent", &id, "password", "new"])?;
        fs::write(self.directory.join("password"), password)?;
        self.agent.start()
    }

    /// Starts the coordinator and waits until it answers.
    pub(crate) fn start_coordinator(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.coordinator.start()?;
        loop {
            let output = self.run(&["agents", "list"])?;
            if output.status.success() {
                self.recoveries.push(begun.elapsed());
                return Ok(());
            }
            if self.coordinator.has_died()? {
                bail!("it died at once:\n{}", self.coordinator.tail());
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "the coordinator does not answer: {}\n{}",
                String::from_utf8_lossy(&output.stderr),
                self.coordinator.tail()
            );
        }
    }

    pub(crate) fn victim(&mut self, victim: Victim) -> &mut Process {
        match victim {
            Victim::Coordinator => &mut self.coordinator,
            Victim::Agent => &mut self.agent,
        }
    }

    /// What both said last, for whoever looks why something failed.
    pub(crate) fn tell_logs(&self) {
        for process in [&self.coordinator, &self.agent] {
            eprintln!("{}\n", process.tail());
        }
    }

    /// Ends both, in good order.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.agent.stop().context("the agent")?;
        self.coordinator.stop().context("the coordinator")
    }

    pub(crate) fn client(&self) -> Client {
        Client {
            program: self.programs.join("grange"),
            admin: self.admin.clone(),
            published: self.published.clone(),
            directory: self.directory.clone(),
            bad_disk: self.bad_disk,
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.client().run(arguments)
    }

    pub(crate) fn grange(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.client().grange(arguments)
    }

    /// What `grange-coordinator check` finds wrong with the database; no coordinator may run.
    pub(crate) fn check_database(&self) -> anyhow::Result<()> {
        let mut command = program(&self.programs.join("grange-coordinator"));
        command.args(["check", "--json", "--state-dir"]);
        let output = command.arg(&self.state).output()?;
        ensure!(
            output.status.success(),
            "the database is damaged: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// Somebody who uses the farm, in a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    program: PathBuf,
    pub(crate) admin: String,
    pub(crate) published: String,
    pub(crate) directory: PathBuf,
    bad_disk: bool,
}

impl Client {
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(&self.program);
        command.args(["--coordinator", &self.admin]).args(arguments);
        command
    }

    /// What came of `grange`.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let output = self.command(arguments).output();
        output.with_context(|| format!("cannot run {}", self.program.display()))
    }

    /// What `grange` says, which must go well once the coordinator is there.
    pub(crate) fn grange(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            let output = self.run(arguments)?;
            if output.status.success() {
                return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
            }
            let error = String::from_utf8_lossy(&output.stderr);
            let disk = self.bad_disk && DISK_ERRORS.iter().any(|it| error.contains(it));
            ensure!(
                disk || output.status.code() == Some(UNREACHED),
                "{arguments:?}: {}: {error}",
                output.status
            );
            ensure!(begun.elapsed() < PATIENCE, "{arguments:?}: {error}");
        }
    }
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path is no text")
}
