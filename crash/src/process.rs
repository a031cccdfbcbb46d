//! Programs that are killed and started again.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// What begins the log of each run.
pub(crate) const LIFE: &str = "---- another life";

/// How long a program that is asked to end may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What this program is told to become another one, which the kernel kills when its parent dies.
const LAUNCH: &str = "--launch";

/// If this program was told so, it becomes that one: this returns if it was not, or with why it cannot.
///
/// Whoever is killed, or stopped by a signal, drops nothing, and what it has started would stay. To do this between
/// `fork` and `exec` would need unsafe code.
pub(crate) fn launch() -> anyhow::Result<()> {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_none_or(|word| word != LAUNCH) {
        return Ok(());
    }
    let parent = words.next().context("whose child it is")?;
    let program = words.next().context("what it becomes")?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before that.
    let now = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    ensure!(now.is_some_and(|now| parent == *now), "its parent has died");
    let failed = Command::new(&program).args(words).exec();
    Err(failed).with_context(|| format!("cannot start {}", program.display()))
}

/// A program that does not see what the tester's environment says of Grange.
pub(crate) fn program(name: &Path) -> Command {
    let mut command = Command::new(name);
    for variable in [
        "GRANGE_COORDINATOR",
        "GRANGE_TOKEN_FILE",
        "GRANGE_CA",
        "GRANGE_LOG",
        "GRANGE_FAIL_POINT",
        "NOTIFY_SOCKET",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// The same, [launched](launch) so that it dies with the thread that starts it.
pub(crate) fn launched(name: &Path) -> Command {
    // Whatever has become of the file of this program meanwhile.
    let mut command = program(Path::new("/proc/self/exe"));
    let parent = std::process::id().to_string();
    command.args([LAUNCH, &parent]).arg(name);
    command
}

/// A program that is there, or was.
#[derive(Debug)]
pub(crate) struct Process {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// The file that says where it dies.
    control: PathBuf,
    /// It was told so, and nobody has seen it dead since.
    armed: bool,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn new(
        program: PathBuf,
        arguments: Vec<String>,
        log: PathBuf,
        control: PathBuf,
    ) -> Self {
        Self {
            program,
            arguments,
            log,
            control,
            armed: false,
            child: None,
        }
    }

    /// Starts it; it must not run. It dies with the thread that starts it.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "it runs already");
        let mut log = File::options().create(true).append(true).open(&self.log)?;
        writeln!(log, "{LIFE}")?;
        self.armed = self.control.exists();
        let mut command = launched(&self.program);
        command
            .args(&self.arguments)
            .env("GRANGE_FAIL_POINT", &self.control)
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn();
        self.child =
            Some(child.with_context(|| format!("cannot start {}", self.program.display()))?);
        Ok(())
    }

    /// Says at which point, and which time there, it is to die.
    pub(crate) fn arm(&mut self, point: &str, times: u32) -> anyhow::Result<()> {
        ensure!(!self.is_dying(), "it dies already");
        // Under its name there is always all of it.
        let new = self.control.with_extension("new");
        fs::write(&new, format!("{point} {times}"))?;
        fs::rename(&new, &self.control)?;
        self.armed = true;
        Ok(())
    }

    /// Takes that back; whether it was still so. If not, it was there, and is dead or [dying](Self::is_dying).
    pub(crate) fn disarm(&mut self) -> bool {
        let was = fs::remove_file(&self.control).is_ok();
        self.armed &= !was;
        was
    }

    /// Whether it has come where it is to die, and nobody has seen it dead: nothing keeps it from that.
    pub(crate) fn is_dying(&self) -> bool {
        self.child.is_some() && self.armed && !self.control.exists()
    }

    /// Whether it has died at the point, of which it must have died if it is not there.
    pub(crate) fn has_died(&mut self) -> anyhow::Result<bool> {
        let Some(child) = &mut self.child else {
            return Ok(true);
        };
        let Some(status) = child.try_wait()? else {
            return Ok(false);
        };
        self.child = None;
        if status.signal() != Some(9) {
            bail!("it ended with {status}:\n{}", self.tail());
        }
        ensure!(
            !self.control.exists(),
            "it was killed by somebody else:\n{}",
            self.tail()
        );
        self.armed = false;
        Ok(true)
    }

    /// Whether it does not run, for whatever reason.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(true),
        }
    }

    /// `kill -9`, if it has not given up before. It may live until what it waits for is answered.
    pub(crate) fn strike(&mut self) -> anyhow::Result<()> {
        Ok(self.child.as_mut().map_or(Ok(()), Child::kill)?)
    }

    /// Waits until it has ended, however; how, if it was there.
    pub(crate) fn wait(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let ended = self.child.take().map(|mut child| child.wait());
        Ok(ended.transpose()?)
    }

    /// Stops it where it is, or lets it go on: `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        let words = [format!("-{name}"), child.id().to_string()];
        let status = Command::new("kill").args(words).status()?;
        ensure!(status.success(), "it cannot be sent {name}");
        Ok(())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        if let Some(status) = child.try_wait()? {
            bail!("it ended by itself, with {status}:\n{}", self.tail());
        }
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to end: it ends its builds, and unmounts what it has mounted.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        Command::new("kill").arg(child.id().to_string()).status()?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "it ended with {status}:\n{}", self.tail());
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill()?;
        child.wait()?;
        bail!("it did not stop:\n{}", self.tail())
    }

    /// All that it said, in all its lives.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// What it said in the last of them.
    pub(crate) fn said_last(&self) -> String {
        let said = self.said();
        let last = said.rsplit(LIFE).next();
        last.unwrap_or_default().to_owned()
    }

    /// The last lines of that.
    pub(crate) fn tail(&self) -> String {
        let text = self.said();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever gave up before has a better reason to tell.
        let _ = self.stop();
    }
}
