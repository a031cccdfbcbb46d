//! The disk in its place.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{BackgroundSession, Config, MountOption, spawn_mount};

use super::disk::Disk;
use super::files::Files;
use crate::random::Random;

/// A disk that is mounted.
#[derive(Debug)]
pub(crate) struct PowerDisk {
    place: PathBuf,
    disk: Arc<Mutex<Disk>>,
    session: Option<BackgroundSession>,
}

impl PowerDisk {
    /// An empty one.
    pub(crate) fn mount(place: &Path, random: Random) -> io::Result<Self> {
        let mut this = Self {
            place: place.to_owned(),
            disk: Arc::new(Mutex::new(Disk::new(random))),
            session: None,
        };
        this.attach()?;
        Ok(this)
    }

    fn attach(&mut self) -> io::Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("grange-crash".into())];
        // Whoever waits for a slow sync does not keep others from reading.
        config.n_threads = Some(4);
        let files = Files(Arc::clone(&self.disk));
        self.session = Some(spawn_mount(files, &self.place, &config)?);
        Ok(())
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes and comes back. Nobody may use the disk.
    pub(crate) fn cut(&mut self) -> io::Result<()> {
        // From here on nothing comes to the disk any more, whatever the kernel has still.
        self.disk().dead = true;
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        let before = self.disk().clone();
        *self.disk() = before.after_cut();
        self.attach()
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // Whoever gave up before has a better reason to tell.
            let _ = session.umount_and_join();
        }
    }
}
