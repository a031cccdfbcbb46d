//! The disk in its place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use fuser::{BackgroundSession, Config, MountOption, spawn_mount};

use super::disk::{Disk, Failed};
use super::files::Files;
use crate::random::Random;

/// A disk, and those who wait for its answers.
#[derive(Debug)]
pub(super) struct Place {
    disk: Mutex<Disk>,
    answers: Condvar,
}

impl Place {
    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something on the disk. When the power is gone nobody is answered, until whoever asked is gone, too: no
    /// program sees an error then.
    pub(super) fn act<T>(
        &self,
        act: impl FnOnce(&mut Disk) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let mut disk = self.disk();
        let done = act(&mut disk);
        while disk.dead && !disk.deserted {
            disk = self
                .answers
                .wait(disk)
                .unwrap_or_else(PoisonError::into_inner);
        }
        done
    }
}

/// A disk that is mounted.
#[derive(Debug)]
pub(crate) struct PowerDisk {
    at: PathBuf,
    place: Arc<Place>,
    session: Option<BackgroundSession>,
    /// As it was before the power was cut the last time.
    before: Option<Disk>,
}

impl PowerDisk {
    /// An empty one.
    pub(crate) fn mount(at: &Path, random: Random) -> io::Result<Self> {
        let mut this = Self {
            at: at.to_owned(),
            place: Arc::new(Place {
                disk: Mutex::new(Disk::new(random)),
                answers: Condvar::new(),
            }),
            session: None,
            before: None,
        };
        this.attach()?;
        Ok(this)
    }

    fn attach(&mut self) -> io::Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("grange-crash".into())];
        // Whoever waits for a slow sync does not keep others from reading.
        config.n_threads = Some(4);
        let files = Files(Arc::clone(&self.place));
        self.session = Some(spawn_mount(files, &self.at, &config)?);
        Ok(())
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.place.disk()
    }

    /// The power goes: from here on nothing comes to the disk any more, whatever the kernel has still.
    pub(crate) fn power_off(&self) {
        self.disk().dead = true;
    }

    /// Whoever used the disk was killed, and may go.
    pub(crate) fn desert(&self) {
        self.disk().deserted = true;
        self.place.answers.notify_all();
    }

    /// The power comes back. Nobody may use the disk.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        self.power_off();
        self.desert();
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        let before = self.disk().clone();
        self.before = Some(before.clone());
        *self.disk() = before.after_cut();
        self.attach()
    }

    /// Writes all that is known of it into a directory.
    pub(crate) fn tell(&self, to: &Path) -> io::Result<()> {
        if let Some(before) = &self.before {
            before.tell(to, "before-the-last-cut")?;
        }
        self.disk().tell(to, "disk-now")
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        self.desert();
        if let Some(session) = self.session.take() {
            // Whoever gave up before has a better reason to tell.
            let _ = session.umount_and_join();
        }
    }
}
