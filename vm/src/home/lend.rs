//! Clones of a machine that is kept.

use std::path::{Path, PathBuf};

use super::error::{HomeError, io};
use super::machines::MachineHome;
use super::serve::ServeOptions;
use crate::run::{Choice, Running, Template};

/// A clone of a machine that is kept, with nothing that leads into it but its channels. Its directory goes when it is dropped.
#[derive(Debug)]
pub struct Lent {
    /// The clone.
    pub running: Running,
    /// What executes it, and why that.
    pub accelerator: Choice,
    directory: Removed,
}

#[derive(Debug)]
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // What is left is swept when the machine is destroyed.
        let _: std::io::Result<()> = std::fs::remove_dir_all(&self.0);
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
        let number: u64 = rand::random();
        let directory = Removed(
            self.directory()
                .join("clones")
                .join(format!("{number:016x}")),
        );
        let trial = directory.0.join("trial");
        let (mut plan, accelerator) = self.plan(options, &trial).await?;
        plan.forwards = Vec::new();
        open_to(&self.directory().join("clones"))?;
        let template = Template::get(&plan, self.templates(), options.limit).await;
        let template = template.map_err(|source| self.failed(source))?;
        let cloned = template.clone_into(&directory.0, options.limit).await;
        Ok(Lent {
            running: cloned.map_err(|source| self.failed(source))?,
            accelerator,
            directory,
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
        ended.map_err(io("end the emulator in", &self.directory.0))?;
        Ok(())
    }
}

/// Emulators of several users pass through it to their own.
fn open_to(directory: &Path) -> Result<(), HomeError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(directory).map_err(io("make", directory))?;
    let mode = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(directory, mode).map_err(io("open", directory))
}
