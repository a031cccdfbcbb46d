//! Which items are known to be on disk.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use grange_fail_points::{Point, reach};
use serde::{Deserialize, Serialize};

use super::layout::Layout;

/// After so many items, or bytes of nars, an epoch ends.
const ITEMS_PER_EPOCH: u64 = 10_000;
const BYTES_PER_EPOCH: u64 = 1 << 30;

/// What `settled` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settled {
    /// Items of epochs before this one are on disk.
    pub before: u64,
    /// The machine's start since which the store was last opened. While it is the same, what was written can be read
    /// back, whether it is on disk or not.
    pub boot: String,
}

/// Counts epochs.
#[derive(Debug)]
pub(super) struct Epochs(Mutex<Current>);

#[derive(Debug)]
struct Current {
    epoch: u64,
    items: u64,
    bytes: u64,
    boot: String,
}

impl Epochs {
    pub(super) fn new(epoch: u64, boot: String) -> Self {
        Self(Mutex::new(Current {
            epoch,
            items: 0,
            bytes: 0,
            boot,
        }))
    }

    pub(super) fn current(&self) -> u64 {
        self.lock().epoch
    }

    /// Counts a new item; true if the epoch should end.
    pub(super) fn count(&self, bytes: u64) -> bool {
        let mut current = self.lock();
        current.items += 1;
        current.bytes = current.bytes.saturating_add(bytes);
        let over = current.items >= ITEMS_PER_EPOCH || current.bytes >= BYTES_PER_EPOCH;
        if over {
            // Counted anew at once, so that one caller alone is told.
            (current.items, current.bytes) = (0, 0);
        }
        over
    }

    /// Ends the epoch and syncs: what became valid in it is on disk when this returns. Takes as long as the disk takes
    /// for all that waits to be written on that file system.
    pub(super) fn settle(&self, layout: &Layout) -> io::Result<()> {
        let (before, boot) = {
            let mut current = self.lock();
            current.epoch += 1;
            (current.items, current.bytes) = (0, 0);
            (current.epoch, current.boot.clone())
        };
        rustix::fs::syncfs(File::open(layout.directory())?)?;
        reach(Point::StoreSynced);
        // Two may settle at once; the later epoch stays.
        let _current = self.lock();
        if Settled::read(&layout.settled()).is_none_or(|settled| settled.before < before) {
            Settled { before, boot }.write(layout)?;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settled {
    /// None if there is none, or none that can be read: then nothing is known to be on disk.
    pub(super) fn read(file: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(file).ok()?).ok()
    }

    /// Writes it durably.
    pub(super) fn write(&self, layout: &Layout) -> io::Result<()> {
        let new = layout.new_incoming();
        fs::write(&new, serde_json::to_vec(self)?)?;
        reach(Point::SettledWritten);
        File::open(&new)?.sync_all()?;
        reach(Point::SettledSynced);
        fs::rename(&new, layout.settled())?;
        reach(Point::SettledRenamed);
        File::open(layout.directory())?.sync_all()
    }
}

/// What tells one start of the machine from another; empty where the kernel does not say it.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}
