//! The directory that survives the agent.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use grange_fail_points::{Point, reach};
use grange_model::{AttemptId, SessionId};
use tracing::warn;

use crate::AgentError;
use crate::spool::Spool;

/// A state directory that this agent alone uses, as long as this lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes it if it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, AgentError> {
        let failed = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| AgentError::StateDir { what, path, source }
        };
        let attempts = path.join("attempts");
        // What builds make and say is nobody else's business.
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(&attempts)
            .map_err(failed("cannot make", &attempts))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("cannot open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(AgentError::Locked(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed("cannot lock", &lock_path)(source)),
        }
    }

    /// The session that was written last, if it can be read.
    pub(crate) fn last_session(&self) -> Option<SessionId> {
        std::fs::read_to_string(self.path.join("session"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Writes it durably: where there is none, no earlier run can have begun anything.
    pub(crate) fn write_session(&self, session: SessionId) -> Result<(), AgentError> {
        let path = self.path.join("session");
        let new = self.path.join("session.new");
        let write = || {
            std::fs::write(&new, format!("{session}\n"))?;
            File::open(&new)?.sync_all()?;
            reach(Point::SessionWritten);
            std::fs::rename(&new, &path)?;
            reach(Point::SessionRenamed);
            File::open(&self.path)?.sync_all()?;
            // Where the directory's own name is none of our business, somebody else has seen to it.
            let here = Path::new(".");
            let parent = self.path.parent();
            let parent = parent.map(|it| if it.as_os_str().is_empty() { here } else { it });
            match parent.map(File::open) {
                Some(Ok(parent)) => parent.sync_all(),
                _ => Ok(()),
            }
        };
        write().map_err(|source| AgentError::StateDir {
            what: "cannot write",
            path,
            source,
        })
    }

    pub(crate) fn spool(&self, attempt: AttemptId) -> Spool {
        Spool::new(self.path.join("attempts").join(attempt.to_string()))
    }

    /// What earlier runs left.
    pub(crate) fn leftovers(&self) -> Result<Vec<AttemptId>, AgentError> {
        let path = self.path.join("attempts");
        let list = || -> io::Result<Vec<AttemptId>> {
            let mut attempts = Vec::new();
            for entry in std::fs::read_dir(&path)? {
                let name = entry?.file_name();
                match name.to_str().and_then(|name| name.parse().ok()) {
                    Some(attempt) => attempts.push(attempt),
                    None => warn!(?name, "leaving alone what is no attempt's directory"),
                }
            }
            attempts.sort();
            Ok(attempts)
        };
        list().map_err(|source| AgentError::StateDir {
            what: "cannot list",
            path,
            source,
        })
    }
}
