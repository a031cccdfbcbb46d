//! A machine that has booted once, to be cloned: its memory lies in a file that clones map and copy as they write.

use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use grange_guest::client::{ClientError, Guest};
use grange_guest::protocol::Exec;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use super::channel::Channel;
use super::disk;
use super::error::{BootError, io};
use super::plan::{Plan, boot_id};
use super::running::{LISTENS, Running};
use crate::machine::{SpecError, VirtualDate};
use crate::qemu::{Memory, QemuCommand, Qmp};

/// The state that is not in memory is some hundred kilobytes; more than this is none.
const MOST_STATE: u64 = 256 << 20;
/// It is written within this time.
const SAVED: Duration = Duration::from_secs(60);
/// Part of what templates are known by, to be changed with what is done to them before they are kept.
const VERSION: u32 = 3;
/// So many templates of a machine are kept: with and without tools or a network, say. The ones that were used last.
const KEPT: usize = 3;
/// Between two tries to lock what somebody else has locked.
const AGAIN: Duration = Duration::from_millis(20);
/// What runs in a template before it is kept.
const WARM: &str = "cd /tmp && echo 'int main(void) { return 0; }' > warm.c && cc -o warm warm.c && ./warm; rm -f warm warm.c";

/// All that a template depends on, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TemplateKey([u8; 16]);

impl fmt::Display for TemplateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// A machine that has booted once, and waits to be cloned. While there is one of these, its files stay.
///
/// Clones begin with the guest's programs where they were. Their date is set, and their randomness renewed, before anything else happens
/// in them. So is their PC's clock (`hwclock`).
///
/// The memory of a template, and the disk if there is one, belong to the emulators' user, since QEMU maps no memory that it may not write: an emulator that a guest has
/// taken over can spoil later clones of its own machine. All else belongs to whoever makes it.
#[derive(Debug)]
pub struct Template {
    plan: Plan,
    key: TemplateKey,
    directory: PathBuf,
    _lock: File,
}

impl Plan {
    /// What a template of it is known by: the emulator, its command line, the image, and the host's boot, since its memory was not written
    /// through to the disk. The date is not part of it, since a clone is set to any; nor are the ports that lead into it.
    ///
    /// # Errors
    ///
    /// The machine cannot be so.
    pub fn template_key(&self) -> Result<TemplateKey, BootError> {
        let command = QemuCommand::new(&self.as_template()?.launch(Path::new("/"), Memory::Own)?);
        let emulator = &self.emulator;
        let changed = fs::metadata(&emulator.program).map_err(io("look at", &emulator.program))?;
        let mut hash = Sha256::new();
        for text in [
            VERSION.to_string(),
            boot_id(),
            emulator.version.clone(),
            emulator.program.display().to_string(),
            changed.len().to_string(),
            format!("{:?}", changed.modified().ok()),
            format!("{:?}", self.user),
            command.to_string(),
            self.image.id.clone(),
            format!("{:?}", self.disk.as_ref().map(|disk| disk.size)),
        ] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Ok(TemplateKey(key))
    }

    /// As its template is: of a date that is always the same and older than all others, with no port of the host. Its processor is that of its
    /// own date.
    fn as_template(&self) -> Result<Self, SpecError> {
        let mut plan = self.clone();
        let system = plan.machine.guest_system()?;
        plan.machine.cpu = Some(plan.machine.cpu(&system)?);
        plan.machine.date = VirtualDate::FIRST;
        plan.channel = Channel::Serial;
        plan.forwards = Vec::new();
        Ok(plan)
    }
}

impl Template {
    /// The template of that machine in `directory`, which is made if it is not there yet: that takes as long as a boot, at most
    /// `limit`. Of several that want the same one, one makes it; the others wait, at most as long. Only those that were used last are kept; clones of
    /// others go on.
    ///
    /// # Errors
    ///
    /// The image cannot be cloned, since it has no program of ours, or it does not boot.
    pub async fn get(plan: &Plan, directory: &Path, limit: Duration) -> Result<Self, BootError> {
        if !plan.image.has_guest {
            return Err(BootError::NoGuest("a clone"));
        }
        let key = plan.template_key()?;
        let here = directory.join(plan.machine.name.as_str());
        // Beside what is removed with the machine.
        let path = directory.join(format!("{}.lock", plan.machine.name));
        let lock = lock(&path, FlockOperation::NonBlockingLockExclusive, limit).await?;
        let template = Self {
            plan: plan.clone(),
            key,
            directory: here.join(key.to_string()),
            _lock: lock,
        };
        if !template.directory.join("state").exists() {
            passable(&here)?;
            clear(&here, KEPT - 1)?;
            let making = here.join("making");
            passable(&making)?;
            let made = template.make(&making, limit).await;
            if made.is_err() {
                // The error that is returned says more than one of this would.
                let _: std::io::Result<()> = fs::remove_dir_all(&making);
            }
            made?;
            fs::rename(&making, &template.directory).map_err(io("rename", &making))?;
        }
        let used = template.directory.join("used");
        fs::write(&used, b"").map_err(io("write", used))?;
        // Shared from here on: others may start clones, nobody may remove it.
        flock(&template._lock, FlockOperation::LockShared)
            .map_err(|error| io("lock", &path)(error.into()))?;
        Ok(template)
    }

    /// What it is known by.
    #[must_use]
    pub fn key(&self) -> TemplateKey {
        self.key
    }

    /// Makes it in `making`, which belongs to whoever makes it; the emulator has a directory in it.
    async fn make(&self, making: &Path, limit: Duration) -> Result<(), BootError> {
        let plan = self.plan.as_template()?;
        let run = making.join("run");
        let memory = Memory::Template(run.join("ram"));
        let mut running = Running::start(&plan, &run, memory).await?;
        let guest = running.meet(limit).await?;
        let warming = timeout(limit, warm(guest)).await;
        warming.map_err(|_| ClientError::TimedOut)??;
        // The conversation ends before the machine is stopped: a clone is spoken to anew.
        running.guest = None;
        running.qmp.execute("stop", json!({})).await?;
        ignore_shared(&mut running.qmp).await?;
        let socket = making.join("outgoing");
        let listener = UnixListener::bind(&socket).map_err(io("listen at", &socket))?;
        if let Some(user) = plan.user {
            let owned = std::os::unix::fs::lchown(&socket, Some(user.uid), Some(user.gid));
            owned.map_err(io("give away", &socket))?;
        }
        let state = making.join("state.part");
        let saving = async {
            let (stream, _) = listener.accept().await.map_err(io("accept at", &socket))?;
            let file = tokio::fs::File::create(&state).await;
            let mut file = file.map_err(io("make", &state))?;
            let mut limited = tokio::io::AsyncReadExt::take(stream, MOST_STATE);
            let copied = tokio::io::copy(&mut limited, &mut file).await;
            copied.map_err(io("write", &state))?;
            file.sync_all().await.map_err(io("write through", &state))
        };
        let uri = format!("unix:{}", socket.display());
        let asked = running.qmp.execute("migrate", json!({ "uri": uri }));
        let both = async { tokio::try_join!(saving, async { Ok::<_, BootError>(asked.await?) }) };
        let slow = |_| BootError::State {
            what: "kept",
            why: format!("it was not written within {} s", SAVED.as_secs()),
        };
        timeout(SAVED, both).await.map_err(slow)??;
        finished(&mut running.qmp).await?;
        let made = running.take_disk();
        let quit = running.power_cut().await;
        quit.map_err(io("end", "QEMU"))?;
        // Nobody runs as that user here any more: what is under this name now stays so.
        keep(&run.join("ram"), &making.join("ram"))?;
        if plan.disk.is_some() {
            let kept = disk::file(making);
            keep(&disk::file(&run), &kept)?;
            let through = File::open(&kept).and_then(|kept| kept.sync_all());
            through.map_err(io("write through", kept))?;
        }
        drop(made);
        fs::remove_dir_all(&run).map_err(io("remove", run))?;
        fs::remove_file(&socket).map_err(io("remove", socket))?;
        fs::rename(&state, making.join("state")).map_err(io("rename", &state))
    }

    /// Starts a clone whose sockets lie in `directory`, with the date and the ports that its plan says. It answers when this returns.
    ///
    /// # Errors
    ///
    /// It does not come up.
    pub async fn clone_into(
        &self,
        directory: &Path,
        limit: Duration,
    ) -> Result<Running, BootError> {
        let mut plan = self.plan.as_template()?;
        plan.forwards.clone_from(&self.plan.forwards);
        let memory = Memory::Clone(self.directory.join("ram"));
        let mut running = Running::start(&plan, directory, memory).await?;
        ignore_shared(&mut running.qmp).await?;
        let socket = directory.join("incoming");
        let uri = format!("unix:{}", socket.display());
        running
            .qmp
            .execute("migrate-incoming", json!({ "uri": uri }))
            .await?;
        let stream = UnixStream::connect(&socket).await;
        let mut stream = stream.map_err(io("connect to", &socket))?;
        let path = self.directory.join("state");
        let state = tokio::fs::File::open(&path).await;
        let mut state = state.map_err(io("read", &path))?;
        let copied = tokio::io::copy(&mut state, &mut stream).await;
        copied.map_err(io("read", &path))?;
        stream.shutdown().await.map_err(io("write to", &socket))?;
        let end = Instant::now() + LISTENS;
        while running.qmp.run_state().await?.is_incoming() {
            if Instant::now() > end {
                return Err(BootError::State {
                    what: "taken over",
                    why: "QEMU still waits for it".into(),
                });
            }
            // There is no event for it that comes in every version.
            sleep(Duration::from_millis(2)).await;
        }
        running.qmp.execute("cont", json!({})).await?;
        running.meet(limit).await?;
        running
            .settle(self.plan.machine.date.unix_seconds())
            .await?;
        Ok(running)
    }

    /// Drops all templates of a machine; clones of them go on.
    ///
    /// # Errors
    ///
    /// They cannot be removed.
    pub async fn drop_all(
        directory: &Path,
        name: &crate::machine::MachineName,
    ) -> Result<(), BootError> {
        let path = directory.join(format!("{name}.lock"));
        let _lock = lock(&path, FlockOperation::NonBlockingLockExclusive, SAVED).await?;
        clear(&directory.join(name.as_str()), 0)
    }
}

/// Moves a file out of the emulator's directory, if it is one.
fn keep(from: &Path, to: &Path) -> Result<(), BootError> {
    let is_file = fs::symlink_metadata(from)
        .map_err(io("look at", from))?
        .is_file();
    if !is_file {
        return Err(BootError::State {
            what: "kept",
            why: format!("{} is no file any more", from.display()),
        });
    }
    fs::rename(from, to).map_err(io("rename", from))
}

/// Does what builds begin with, so that clones have shell, libraries and compiler in the memory that they share, unpacked: else each reads and
/// unpacks its own.
async fn warm(guest: &Guest) -> Result<(), ClientError> {
    let exec = Exec::new("/bin/sh").args(["-c", WARM]);
    match guest.run(exec.env("PATH", "/usr/bin:/bin")).await {
        // Whether there is a compiler is the image's business.
        Ok(running) => running.output(64 << 10).await.map(|_| ()),
        Err(ClientError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Memory that others share is not part of the state.
async fn ignore_shared(qmp: &mut Qmp<UnixStream>) -> Result<(), BootError> {
    let capability = json!({ "capability": "x-ignore-shared", "state": true });
    let arguments = json!({ "capabilities": [capability] });
    qmp.execute("migrate-set-capabilities", arguments).await?;
    Ok(())
}

/// Waits until QEMU says that the state was written.
async fn finished(qmp: &mut Qmp<UnixStream>) -> Result<(), BootError> {
    let end = Instant::now() + SAVED;
    loop {
        let said = qmp.execute("query-migrate", json!({})).await?;
        let status = said.get("status").and_then(serde_json::Value::as_str);
        match status {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") | None => {
                let why = said.get("error-desc").and_then(serde_json::Value::as_str);
                return Err(BootError::State {
                    what: "kept",
                    why: why.unwrap_or("QEMU does not say why").to_owned(),
                });
            }
            Some(_) if Instant::now() > end => {
                return Err(BootError::State {
                    what: "kept",
                    why: "QEMU does not come to an end with it".into(),
                });
            }
            Some(_) => sleep(Duration::from_millis(2)).await,
        }
    }
}

/// Removes the templates of a machine but so many that were used last, and what is left of one that was being made.
fn clear(here: &Path, keep: usize) -> Result<(), BootError> {
    let entries = match fs::read_dir(here) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("read", here)(error)),
    };
    let mut templates = Vec::new();
    for entry in entries {
        let path = entry.map_err(io("read", here))?.path();
        if !path.is_dir() {
            fs::remove_file(&path).map_err(io("remove", &path))?;
            continue;
        }
        let used = fs::metadata(path.join("used")).and_then(|used| used.modified());
        templates.push((used.ok(), path));
    }
    templates.sort();
    let most = templates.len().saturating_sub(keep);
    let unfinished = |used: &Option<SystemTime>| used.is_none();
    for (index, (used, path)) in templates.iter().enumerate() {
        if index < most || unfinished(used) {
            fs::remove_dir_all(path).map_err(io("remove", path))?;
        }
    }
    Ok(())
}

/// A directory that belongs to whoever makes it, and through which emulators of other users get to what is theirs.
fn passable(directory: &Path) -> Result<(), BootError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir_all(directory).map_err(io("make", directory))?;
    let mode = fs::Permissions::from_mode(0o711);
    fs::set_permissions(directory, mode).map_err(io("open", directory))
}

/// Waits for a lock on a file, which is made, at most so long; it is let go when the file is dropped.
async fn lock(path: &Path, how: FlockOperation, limit: Duration) -> Result<File, BootError> {
    let file = File::create(path).map_err(io("make", path))?;
    let end = Instant::now() + limit;
    loop {
        match flock(&file, how) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => sleep(AGAIN).await,
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(BootError::State {
                    what: "had",
                    why: format!(
                        "somebody else has held {} for {} s",
                        path.display(),
                        limit.as_secs()
                    ),
                });
            }
            Err(error) => return Err(io("lock", path)(error.into())),
        }
    }
}
