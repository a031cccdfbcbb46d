//! A coordinator and agents as processes, in a directory.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_fail_points::{Point, Victim};

use crate::process::{Process, launched, program};

/// What a shell of the machine needs to run in the sandbox.
const SHELL: [&str; 5] = ["/bin", "/lib", "/lib32", "/lib64", "/usr"];

/// What `grange` says if it does not reach the coordinator.
pub(crate) const UNREACHED: i32 = 69;

/// What it says if the coordinator's disk has failed it.
const DISK_ERRORS: [&str; 2] = ["the artifact store failed", "No space left on device"];

/// How long anything may take before it counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What is not the same in each farm.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The coordinator's directory.
    pub(crate) state: PathBuf,
    /// Where the directories of the agents lie, but for their stores.
    pub(crate) agents: PathBuf,
    /// The lease of an attempt, as the coordinator's configuration says it.
    pub(crate) lease: &'static str,
}

impl Setup {
    /// All in one directory, and leases that do not run out.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            state: directory.join("coordinator"),
            agents: directory.to_owned(),
            lease: "1m",
        }
    }
}

/// A farm.
#[derive(Debug)]
pub(crate) struct Farm {
    programs: PathBuf,
    /// Where what this program itself needs lies.
    pub(crate) directory: PathBuf,
    /// The coordinator's.
    pub(crate) state: PathBuf,
    pub(crate) admin: String,
    /// Where stock clients fetch.
    pub(crate) published: String,
    pub(crate) coordinator: Process,
    pub(crate) agents: Vec<Agent>,
    /// The coordinator's disk may fail: that is said to users, and they try again.
    pub(crate) bad_disk: bool,
    /// What no coordinator has acknowledged may be lost, and done again: an agent's disk is bad, or leases run out.
    pub(crate) may_lose: bool,
    /// How long each start of a coordinator took until it answered.
    pub(crate) recoveries: Vec<Duration>,
}

/// An agent.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) id: String,
    /// What is its own: logs and results.
    pub(crate) state: PathBuf,
    pub(crate) store: PathBuf,
    config: PathBuf,
    password: PathBuf,
    pub(crate) process: Process,
}

impl Agent {
    fn new(
        programs: &Path,
        directory: &Path,
        state: PathBuf,
        name: &str,
        url: &str,
    ) -> anyhow::Result<Self> {
        let at = |suffix: &str| directory.join(format!("{name}{suffix}"));
        let (config, password, store) = (at(".toml"), at(".password"), at(".store"));
        let id = uuid::Uuid::now_v7().to_string();
        let words = [
            "--config",
            path(&config)?,
            "--coordinator",
            url,
            "--uuid",
            &id,
            "--password-file",
            path(&password)?,
            "--state-dir",
            path(&state)?,
            "--store",
            path(&store)?,
            "--max-parallel-builds",
            "3",
        ];
        let mut words = words.map(str::to_owned).to_vec();
        for path in SHELL.iter().filter(|path| Path::new(path).exists()) {
            words.extend(["--sandbox-path".to_owned(), (*path).to_owned()]);
        }
        let program = programs.join("grange-agent");
        let process = Process::new(program, words, at(".log"), at(".dies"));
        let agent = Self {
            id,
            state,
            store,
            config,
            password,
            process,
        };
        agent.durable_after("150ms")?;
        Ok(agent)
    }

    /// From its next start on, results of builds that took so long are brought to the disk before they are sent. What
    /// the coordinator has is deleted here: an input that was made here comes from there.
    pub(crate) fn durable_after(&self, time: &str) -> anyhow::Result<()> {
        let text = format!("durable-after = \"{time}\"\nwait = \"2s\"\ndelete-outputs = true\n");
        Ok(fs::write(&self.config, text)?)
    }
}

impl Farm {
    /// Nothing runs yet.
    pub(crate) fn new(programs: &Path, directory: &Path, setup: &Setup) -> anyhow::Result<Self> {
        // The ports must stay the same; that one is taken in the meantime is unlikely.
        let free = || -> anyhow::Result<String> {
            Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
        };
        let (address, published) = (free()?, free()?);
        let admin = format!("unix:{}", directory.join("admin.sock").display());
        let config = directory.join("coordinator.toml");
        let lease = setup.lease;
        fs::write(
            &config,
            format!("[farm]\nlease = \"{lease}\"\nsetup-backoff = \"200ms\"\n"),
        )?;
        let words = [
            "--config",
            path(&config)?,
            "--state-dir",
            path(&setup.state)?,
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
        let url = format!("http://{address}");
        let agents = ["agent-1", "agent-2"].map(|name| {
            let state = setup.agents.join(name);
            Agent::new(programs, directory, state, name, &url)
        });
        Ok(Self {
            programs: programs.to_owned(),
            directory: directory.to_owned(),
            state: setup.state.clone(),
            admin,
            published,
            coordinator,
            agents: agents.into_iter().collect::<anyhow::Result<_>>()?,
            bad_disk: false,
            may_lose: false,
            recoveries: Vec::new(),
        })
    }

    /// Starts the coordinator, and agents that it knows.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.start_coordinator()?;
        for agent in &self.agents {
            self.grange(&["agent", "new", "--id", &agent.id])?;
            let password = self.grange(&["agent", &agent.id, "password", "new"])?;
            fs::write(&agent.password, password)?;
        }
        self.agents
            .iter_mut()
            .try_for_each(|agent| agent.process.start())
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

    /// Where somebody dies; of the agents, the first.
    pub(crate) fn victim(&mut self, victim: Victim) -> &mut Process {
        match victim {
            Victim::Agent => &mut self.agents[0].process,
            Victim::Coordinator | Victim::Operator => &mut self.coordinator,
        }
    }

    /// Says at which point, and which time there, somebody is to die; of the agents, who comes there first.
    pub(crate) fn arm(&mut self, point: Point, times: u32) -> anyhow::Result<()> {
        match point.victim() {
            Victim::Agent => self
                .agents
                .iter_mut()
                .try_for_each(|agent| agent.process.arm(point.name(), times)),
            Victim::Coordinator | Victim::Operator => self.coordinator.arm(point.name(), times),
        }
    }

    /// Takes that back; whether nobody has come there.
    pub(crate) fn disarm(&mut self, victim: Victim) -> bool {
        match victim {
            Victim::Agent => {
                let all = self.agents.iter_mut().map(|it| it.process.disarm());
                // Each of them, also behind one that was not armed any more.
                let all: Vec<_> = all.collect();
                !all.contains(&false)
            }
            Victim::Coordinator | Victim::Operator => self.coordinator.disarm(),
        }
    }

    /// Starts those again who have died as they were told; who that was. Of the agents no other one dies then.
    pub(crate) fn revive(&mut self) -> anyhow::Result<Vec<Victim>> {
        let mut died = self.replace_dead()?;
        if died.contains(&Victim::Agent) {
            self.disarm(Victim::Agent);
            died.extend(self.settle()?);
        }
        Ok(died)
    }

    /// Waits for those who came to their point before that was taken back, and starts them again; who that was.
    pub(crate) fn settle(&mut self) -> anyhow::Result<Vec<Victim>> {
        let begun = Instant::now();
        let mut died = Vec::new();
        while self.processes().any(Process::is_dying) {
            ensure!(begun.elapsed() < PATIENCE, "who is dying does not die");
            died.extend(self.replace_dead()?);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(died)
    }

    /// The same, and whoever is to die may still.
    pub(crate) fn replace_dead(&mut self) -> anyhow::Result<Vec<Victim>> {
        let mut died = Vec::new();
        if self.coordinator.has_died()? {
            self.start_coordinator()?;
            died.push(Victim::Coordinator);
        }
        for agent in &mut self.agents {
            if agent.process.has_died()? {
                agent.process.start()?;
                died.push(Victim::Agent);
            }
        }
        Ok(died)
    }

    /// What all of them said last, for whoever looks why something failed.
    pub(crate) fn tell_logs(&self) {
        for process in self.processes() {
            eprintln!("{}\n", process.tail());
        }
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        let agents = self.agents.iter().map(|agent| &agent.process);
        [&self.coordinator].into_iter().chain(agents)
    }

    /// Ends all, in good order.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        for agent in &mut self.agents {
            agent.process.stop().context("an agent")?;
        }
        self.coordinator.stop().context("the coordinator")
    }

    /// How long the slowest start of a coordinator took.
    pub(crate) fn slowest_recovery(&self) -> Duration {
        self.recoveries.iter().max().copied().unwrap_or_default()
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
    /// A command that goes on until a coordinator lets it end.
    pub(crate) fn long_command(&self, arguments: &[&str]) -> Command {
        let mut command = launched(&self.program);
        command.args(["--coordinator", &self.admin]).args(arguments);
        command
    }

    /// What came of `grange`.
    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = program(&self.program);
        command.args(["--coordinator", &self.admin]).args(arguments);
        let output = command.output();
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
