//! The one thread that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use grange_fail_points::{Point, reach};
use grange_interfaces::{Claim, Claimed, StoreError};
use grange_model::{Batch, Seq, Term};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::commit::Commits;
use crate::error::{at, io};
use crate::keeper::Keeper;
use crate::lock::ProcessLock;

/// What the writer is asked to do, and where the answer goes.
pub(crate) enum Command {
    Claim {
        how: Claim,
        answer: oneshot::Sender<Result<Claimed, StoreError>>,
    },
    Commit {
        term: Term,
        seq: Seq,
        batch: Arc<Batch>,
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
}

/// Starts the thread; it ends when the sender of `commands` is gone and all of them are done.
pub(crate) fn start(
    mut connection: Connection,
    mut keeper: Keeper,
    lock: Arc<ProcessLock>,
    mut commands: mpsc::Receiver<Command>,
) -> Result<JoinHandle<()>, StoreError> {
    let log = Arc::new(AtomicU32::new(0));
    let hook_log = Arc::clone(&log);
    connection
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            hook_log.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(at("cannot watch the write-ahead log"))?;
    let write = move || {
        let mut writer = match Commits::new(&connection) {
            Ok(commits) => Writer {
                commits,
                lock: &lock,
                claimed: Term(0),
            },
            Err(error) => return refuse_all(&mut commands, &error),
        };
        while let Some(command) = commands.blocking_recv() {
            writer.perform(command);
            keeper.log_has(log.load(Ordering::Relaxed));
        }
    };
    thread::Builder::new()
        .name("grange-sqlite-writer".into())
        .spawn(write)
        .map_err(io("cannot start the writer".into()))
}

struct Writer<'c> {
    commits: Commits<'c>,
    lock: &'c ProcessLock,
    /// The newest term that was claimed through this handle.
    claimed: Term,
}

impl Writer<'_> {
    fn perform(&mut self, command: Command) {
        // Whoever does not listen any more has the same result: what is written is written.
        match command {
            Command::Claim { how, answer } => drop(answer.send(self.claim(how))),
            Command::Commit {
                term,
                seq,
                batch,
                answer,
            } => {
                let done = self.commits.commit(term, seq, &batch);
                if let Err(StoreError::Fenced { holder, .. }) = &done
                    && *holder > self.claimed
                {
                    self.lock.release();
                }
                drop(answer.send(done));
                reach(Point::BatchAnswered);
            }
        }
    }

    fn claim(&mut self, how: Claim) -> Result<Claimed, StoreError> {
        match (self.lock.acquire(), how) {
            (Err(StoreError::InUse(holder)), Claim::Force) => {
                tracing::warn!(
                    holder,
                    "the datastore is taken over from a coordinator that lives"
                );
                self.lock.acquire_later();
            }
            (result, _) => result?,
        }
        let claimed = self.commits.claim()?;
        self.claimed = claimed.term;
        Ok(claimed)
    }
}

fn refuse_all(commands: &mut mpsc::Receiver<Command>, error: &StoreError) {
    while let Some(command) = commands.blocking_recv() {
        match command {
            Command::Claim { answer, .. } => drop(answer.send(Err(error.clone()))),
            Command::Commit { answer, .. } => drop(answer.send(Err(error.clone()))),
        }
    }
}
