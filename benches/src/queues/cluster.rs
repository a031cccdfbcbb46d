//! A PostgreSQL of our own.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use postgres::{Client, Config, NoTls};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::process::Process;

/// Where Debian puts its versions.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Under whom it runs if we are root, which it refuses; the first that there is.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// What differs from the defaults: memory for all there is, no checkpoint and no compiler in the middle of what is
/// measured, and no logging for replicas, which makes loading faster. Commits are as durable as by default.
const SETTINGS: [&str; 9] = [
    "listen_addresses=",
    "effective_cache_size=8GB",
    "maintenance_work_mem=1GB",
    "work_mem=256MB",
    "max_wal_size=16GB",
    "checkpoint_timeout=1h",
    "jit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
];

/// Why there is none, if it is not installed.
pub const NOT_INSTALLED: &str = "PostgreSQL is not installed (Debian: postgresql)";

/// A server in a directory that is removed at the end, on a socket there and on nothing else.
#[derive(Debug)]
pub struct Cluster {
    directory: TempDir,
    process: Option<Process>,
    version: String,
}

impl Cluster {
    /// Starts one, with so much memory for what all its connections share, such as `2GB`; none if it is not installed.
    ///
    /// # Errors
    ///
    /// There is nobody under whom it may run, or it does not come up.
    pub fn start(shared_buffers: &str) -> anyhow::Result<Option<Self>> {
        let Some(programs) = programs() else {
            return Ok(None);
        };
        let directory = tempfile::tempdir()?;
        let at = directory.path();
        let user = if geteuid().is_root() {
            let passwd = fs::read_to_string("/etc/passwd")?;
            let user = USERS.iter().find_map(|name| find(&passwd, name));
            Some(user.with_context(|| format!("root, and none of {USERS:?}, is here"))?)
        } else {
            None
        };
        if let Some((user, group)) = user {
            chown(at, Some(user), Some(group))?;
        }
        let command = |name: &str| {
            let mut command = Command::new(programs.join(name));
            command.current_dir(at).stdin(Stdio::null());
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command
        };
        let made = command("initdb")
            .args(["--username=grange", "--auth=trust", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(at.join("data"))
            .output()?;
        let error = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "initdb: {}", error.trim());
        let mut server = command("postgres");
        server.arg("-D").arg(at.join("data")).arg("-k").arg(at);
        server.args(["-c", &format!("shared_buffers={shared_buffers}")]);
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let process = Process::start(&mut server, &at.join("log"))?;
        let mut cluster = Self {
            directory,
            process: Some(process),
            version: String::new(),
        };
        let mut client = cluster.wait()?;
        cluster.version = client.query_one("SHOW server_version", &[])?.get(0);
        Ok(Some(cluster))
    }

    /// Which it is.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A connection to it.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn connect(&self) -> anyhow::Result<Client> {
        let mut config = Config::new();
        let config = config.host_path(self.directory.path());
        Ok(config.user("grange").dbname("postgres").connect(NoTls)?)
    }

    fn wait(&self) -> anyhow::Result<Client> {
        for _ in 0..600 {
            if let Ok(client) = self.connect() {
                return Ok(client);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.directory.path().join("log"))?;
        bail!("PostgreSQL does not come up: {}", log.trim())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        // Fast shutdown: it ends connections, and leaves no process and no memory behind.
        let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            // It may have ended already.
            let _ = kill_process(id, Signal::INT);
        }
        let _ = process.stop();
    }
}

/// Where `initdb` and `postgres` lie: Debian's newest, or what is found like any command.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable();
    let versions = versions.into_iter().rev().map(|(_, path)| path);
    let runs = |path: &Path, name: &str| {
        let mut command = Command::new(path.join(name));
        let command = command.arg("--version").stdout(Stdio::null());
        let status = command.stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    versions
        .chain([PathBuf::new()])
        .find(|path| runs(path, "initdb") && runs(path, "postgres"))
}

/// User and group of that name.
fn find(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let mut rows = passwd.lines().map(|row| row.split(':'));
    let mut row = rows.find_map(|mut row| (row.next() == Some(name)).then_some(row))?;
    let user = row.nth(1)?.parse().ok()?;
    let group = row.next()?.parse().ok()?;
    Some((user, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody2:x:1:2::/:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        assert_eq!(find(passwd, "nobody"), Some((65534, 65533)));
        assert_eq!(find(passwd, "postgres"), None);
        assert_eq!(find("broken:x", "broken"), None);
    }
}
