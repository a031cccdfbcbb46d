//! Telling another process that this one runs.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grange_interfaces::StoreError;

use crate::error::io;

/// An advisory lock on `FILE-lock`, which the system lets go when the process ends, however it ends.
///
/// It keeps nobody from writing, terms do that: it only tells [`Claim::Exclusive`] that another
/// coordinator lives.
///
/// [`Claim::Exclusive`]: grange_interfaces::Claim::Exclusive
#[derive(Debug)]
pub(crate) struct ProcessLock {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<File>,
    /// Another process had it when it was taken over; it lets go once it finds itself fenced.
    wanted: bool,
}

impl ProcessLock {
    pub(crate) fn beside(database: &Path) -> Self {
        let mut path = OsString::from(database);
        path.push("-lock");
        Self {
            path: path.into(),
            state: Mutex::default(),
        }
    }

    /// Takes the lock, or says who has it.
    pub(crate) fn acquire(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.held.is_some() {
            return Ok(());
        }
        let failed = || format!("cannot lock {}", self.path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .map_err(io(failed()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for people: it may just be being written.
                let _ = file.take(64).read_to_string(&mut holder);
                let holder = holder.trim();
                return Err(StoreError::InUse(match holder {
                    "" => format!("{} is locked", self.path.display()),
                    holder => format!("{} is locked by {holder}", self.path.display()),
                }));
            }
            Err(TryLockError::Error(error)) => return Err(io(failed())(error)),
        }
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "process {}", std::process::id()))
            .map_err(io(failed()))?;
        *state = State {
            held: Some(file),
            wanted: false,
        };
        Ok(())
    }

    /// Takes the lock as soon as its holder lets go: see [`Self::retry`].
    pub(crate) fn acquire_later(&self) {
        self.state().wanted = true;
    }

    /// Tries again, if there is something to try. Called now and then.
    pub(crate) fn retry(&self) {
        let wanted = self.state().wanted;
        if wanted && self.acquire().is_ok() {
            tracing::debug!(lock = %self.path.display(), "the former holder has let go");
        }
    }

    /// Lets go: this process has been fenced.
    pub(crate) fn release(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_taken_once_it_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("grange.db");
        let [first, second, third] = [(); 3].map(|()| ProcessLock::beside(&database));
        first.acquire().unwrap();
        first.acquire().unwrap();
        assert!(matches!(second.acquire(), Err(StoreError::InUse(_))));
        second.acquire_later();
        second.retry();
        first.release();
        third.acquire().unwrap();
        third.release();
        second.retry();
        let Err(StoreError::InUse(holder)) = third.acquire() else {
            panic!("nobody has it")
        };
        assert!(
            holder.ends_with(&format!("by process {}", std::process::id())),
            "{holder}"
        );
        drop(second);
        third.acquire().unwrap();
    }
}
