//! A real guix-daemon and a real nix-daemon, for the tests that want them.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use grange_signatures::guix::{Acl, SecretKey};

use crate::run;
use crate::servers::{self, Beside};

/// How long a daemon may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Daemons that run until this is dropped, in namespaces and directories of their own.
#[derive(Debug, Default)]
pub(crate) struct Daemons {
    running: Vec<Child>,
    /// What tests find them by.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// Whether this user may run them, and what was installed for them is there.
fn can_run(what: &str, needs: &Path) -> Result<bool> {
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        eprintln!("xtask: tests with a real {what} are skipped: it needs root");
        return Ok(false);
    }
    if !needs.exists() {
        eprintln!("xtask: tests with a real {what} are skipped: verify --install gets it");
        return Ok(false);
    }
    Ok(true)
}

impl Daemons {
    /// Starts those that can be.
    pub(crate) fn start() -> Result<Self> {
        let place = run::root().join("target/daemons");
        if place.exists() {
            std::fs::remove_dir_all(&place).context("what former daemons left")?;
        }
        let mut all = Self::default();
        let (guix, nix) = (place.join("guix"), place.join("nix"));
        if can_run("guix-daemon", &run::root().join("target/guix/ready"))? {
            let key = make_key(&guix)?;
            let socket = guix.join("var/daemon-socket/socket");
            if all.runs("xtask/guix", &guix, &socket) {
                all.add("GRANGE_TEST_GUIX_SOCKET", &socket);
                all.add("GRANGE_TEST_GUIX_KEY", &key);
                all.adds("guix publish", servers::guix(&guix));
            }
        }
        if can_run("nix-daemon", Path::new("/usr/bin/nix-daemon"))? {
            let socket = nix.join("var/nix/daemon-socket/socket");
            if all.runs("xtask/nix", &nix, &socket) {
                all.add("GRANGE_TEST_NIX_SOCKET", &socket);
                all.adds("caches of nix copy", servers::nix(&nix));
            }
        }
        Ok(all)
    }

    fn add(&mut self, name: &'static str, path: &Path) {
        self.environment.push((name, path.display().to_string()));
    }

    /// Keeps what runs beside a daemon.
    fn adds(&mut self, what: &str, beside: Result<Beside>) {
        match beside {
            Ok(beside) => {
                self.running.extend(beside.running);
                self.environment.extend(beside.environment);
            }
            Err(error) => eprintln!("xtask: tests with real {what} are skipped: {error:#}"),
        }
    }

    /// Runs one; a machine that forbids what it needs, such as mounts, has its tests skipped.
    fn runs(&mut self, script: &str, directory: &Path, socket: &Path) -> bool {
        match self.run(script, directory, socket) {
            Ok(()) => true,
            Err(error) => {
                eprintln!("xtask: tests with a real daemon are skipped: {error:#}");
                false
            }
        }
    }

    fn run(&mut self, script: &str, directory: &Path, socket: &Path) -> Result<()> {
        std::fs::create_dir_all(directory)?;
        let log = std::fs::File::create(directory.join("daemon.log"))?;
        let mut command = Command::new("sh");
        command
            .arg(script)
            .arg("run")
            .arg(directory)
            .current_dir(run::root())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        self.running
            .push(command.spawn().context(script.to_owned())?);
        let end = Instant::now() + PATIENCE;
        let listens = |socket: &Path| {
            std::fs::metadata(socket).is_ok_and(|metadata| metadata.file_type().is_socket())
        };
        while !listens(socket) {
            let ended = match self.running.last_mut() {
                Some(daemon) => daemon.try_wait()?.is_some(),
                None => true,
            };
            if ended || Instant::now() > end {
                let log = std::fs::read_to_string(directory.join("daemon.log"))?;
                bail!("{script}: the daemon does not listen: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        for daemon in &mut self.running {
            // It takes all that it started along.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// A key that the guix-daemon trusts.
fn make_key(directory: &Path) -> Result<PathBuf> {
    let etc = directory.join("etc");
    std::fs::create_dir_all(&etc)?;
    let mut random = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
    let key = SecretKey::generate(&random);
    let mut trusted = Acl::new();
    trusted.authorize(key.public());
    std::fs::write(etc.join("acl"), trusted.to_file())?;
    let file = directory.join("farm.sec");
    std::fs::write(&file, key.to_file().expose())?;
    Ok(file)
}
