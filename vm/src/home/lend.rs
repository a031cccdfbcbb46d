//! Clones of a machine that is kept.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::error::{HomeError, io};
use super::machines::{MachineHome, passable};
use super::serve::ServeOptions;
use crate::run::{Choice, Running, Template};

/// A clone of a machine that is kept, with nothing that leads into it but its channels. Its directory goes when it is dropped.
#[derive(Debug)]
pub struct Lent {
    /// The clone.
    pub running: Running,
    /// What executes it, and why that.
    pub accelerator: Choice,
    directory: Taken,
    /// While it is held, the machine is not destroyed.
    _machine: File,
}

/// A directory for one clone, which nobody else sweeps.
#[derive(Debug)]
struct Taken {
    path: PathBuf,
    lock: PathBuf,
    _file: File,
}

impl Drop for Taken {
    fn drop(&mut self) {
        // What is left is swept by the next one.
        let _: std::io::Result<()> = fs::remove_dir_all(&self.path);
        let _: std::io::Result<()> = fs::remove_file(&self.lock);
    }
}

impl MachineHome {
    /// A clone of the machine: at the machine's date, of the machine as it is just after a boot. Without a template one is made first, which takes
    /// as long as a boot. The machine itself need not run.
    ///
    /// # Errors
    ///
    /// It cannot be cloned, or does not boot.
    pub async fn lend(&self, options: &ServeOptions) -> Result<Lent, HomeError> {
        let machine = self.lock_for_clone()?;
        let machine = machine.ok_or_else(|| HomeError::Unknown {
            name: self.machine.name.clone(),
            known: Vec::new(),
        })?;
        let directory = self.take()?;
        let trial = self.directory().join("trial");
        let (mut plan, accelerator) = self.plan(options, &trial).await?;
        plan.forwards = Vec::new();
        let template = Template::get(&plan, self.templates(), options.limit).await;
        let template = template.map_err(|source| self.failed(source))?;
        let cloned = template.clone_into(&directory.path, options.limit).await;
        Ok(Lent {
            running: cloned.map_err(|source| self.failed(source))?,
            accelerator,
            directory,
            _machine: machine,
        })
    }

    /// A directory for one more clone; those of clones whose supervisors were killed go.
    fn take(&self) -> Result<Taken, HomeError> {
        let clones = self.directory().join("clones");
        match fs::create_dir(&clones) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(io("make", clones)(error));
            }
            _ => passable(&clones)?,
        }
        for entry in fs::read_dir(&clones).map_err(io("read", &clones))? {
            let lock = entry.map_err(io("read", &clones))?.path();
            if lock.extension().is_none_or(|extension| extension != "lock") {
                continue;
            }
            let Ok(file) = File::open(&lock) else {
                continue;
            };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                drop(Taken {
                    path: lock.with_extension(""),
                    lock,
                    _file: file,
                });
            }
        }
        let number: u64 = rand::random();
        let path = clones.join(format!("{number:016x}"));
        let lock = path.with_extension("lock");
        let file = File::create_new(&lock).map_err(io("make", &lock))?;
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        locked.map_err(|error| io("lock", &lock)(error.into()))?;
        Ok(Taken {
            path,
            lock,
            _file: file,
        })
    }
}

impl Lent {
    /// Ends it, at once: nothing in it is kept.
    ///
    /// # Errors
    ///
    /// The emulator cannot be ended.
    pub async fn give_back(self) -> Result<(), HomeError> {
        let ended = self.running.power_cut().await;
        ended.map_err(io("end the emulator in", &self.directory.path))?;
        Ok(())
    }
}
