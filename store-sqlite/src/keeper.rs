//! Moving the write-ahead log into the database, off the writer.
//!
//! A passive checkpoint copies pages while commits go on, but SQLite begins the log anew only when
//! no commit came meanwhile: under steady load the log would grow for ever. So when it has reached
//! its limit the writer waits once, for the little that came since the last passive checkpoint.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use grange_fail_points::{Point, reach};
use grange_interfaces::StoreError;
use rusqlite::Connection;

use crate::SqliteConfig;
use crate::connection::PAGE;
use crate::error::io;
use crate::lock::ProcessLock;

/// How often the keeper looks whether a lock that it wants has become free.
const TICK: Duration = Duration::from_secs(1);

enum Ask {
    /// Copy what can be copied.
    Passive,
    /// The same, and have the log begun anew; then answer: the writer waits.
    Restart(SyncSender<()>),
}

/// The writer's end: it tells how long the log is. Dropping it ends the keeper.
pub(crate) struct Keeper {
    asks: SyncSender<Ask>,
    /// Pages after which to ask, and that many again after each time.
    passive_every: u32,
    limit: u32,
    next_passive: u32,
    next_restart: u32,
    /// How many pages there were after the last commit.
    last: u32,
}

impl Keeper {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Connection,
        lock: Arc<ProcessLock>,
        config: &SqliteConfig,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (asks, receiver) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("grange-sqlite-keeper".into())
            .spawn(move || keep(&connection, &lock, &receiver))
            .map_err(io("cannot start the keeper".into()))?;
        let pages = |bytes: u64| u32::try_from(bytes / PAGE).unwrap_or(u32::MAX).max(1);
        let passive_every = pages(config.checkpoint_at);
        let limit = pages(config.wal_limit);
        let keeper = Self {
            asks,
            passive_every,
            limit,
            next_passive: passive_every,
            next_restart: limit,
            last: 0,
        };
        Ok((keeper, thread))
    }

    /// The log has this many pages after a commit.
    pub(crate) fn log_has(&mut self, pages: u32) {
        if pages < self.last {
            // It was begun anew.
            self.next_passive = self.passive_every;
            self.next_restart = self.limit;
        }
        self.last = pages;
        if pages >= self.next_restart {
            let (answer, done) = sync_channel(1);
            if self.asks.send(Ask::Restart(answer)).is_ok() {
                // The keeper answers or has ended.
                let _ = done.recv();
            }
            // If a reader was in the way, not at once again.
            self.next_restart = pages.saturating_add(self.passive_every);
            self.next_passive = self.next_restart;
        } else if pages >= self.next_passive {
            match self.asks.try_send(Ask::Passive) {
                Ok(()) => self.next_passive = pages.saturating_add(self.passive_every),
                // It is at it.
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
    }
}

fn keep(connection: &Connection, lock: &ProcessLock, asks: &Receiver<Ask>) {
    loop {
        match asks.recv_timeout(TICK) {
            Ok(Ask::Passive) => checkpoint(connection, "PASSIVE"),
            Ok(Ask::Restart(answer)) => {
                checkpoint(connection, "RESTART");
                // The writer waits for nothing else.
                let _ = answer.send(());
            }
            Err(RecvTimeoutError::Timeout) => lock.retry(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// <https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>
fn checkpoint(connection: &Connection, mode: &str) {
    let read = |row: &rusqlite::Row<'_>| {
        Ok((
            row.get::<_, bool>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i64>(2)?,
        ))
    };
    reach(Point::CheckpointBegun);
    let done = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], read);
    reach(Point::CheckpointDone);
    match done {
        Ok((busy, pages, moved)) => tracing::trace!(mode, busy, pages, moved, "checkpoint"),
        // Nothing is lost: the log keeps what was not moved, and the next time comes.
        Err(error) => {
            tracing::warn!(mode, %error, "cannot move the write-ahead log into the database")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for when the log has so many pages after each commit: `P`assive or `R`estart. 10 pages after the
    /// last time it is passive, and the limit is 30.
    fn asked(pages: &[u32]) -> String {
        let (asks, receiver) = sync_channel(pages.len());
        let thread = thread::spawn(move || {
            let word = |ask| match ask {
                Ask::Passive => 'P',
                Ask::Restart(_) => 'R',
            };
            receiver.into_iter().map(word).collect()
        });
        let mut keeper = Keeper {
            asks,
            passive_every: 10,
            limit: 30,
            next_passive: 10,
            next_restart: 30,
            last: 0,
        };
        pages.iter().for_each(|pages| keeper.log_has(*pages));
        drop(keeper);
        thread.join().unwrap()
    }

    #[test]
    fn a_short_log_is_left_alone() {
        assert_eq!(asked(&[1, 9]), "");
    }

    #[test]
    fn a_log_that_grows_is_copied_every_so_many_pages() {
        assert_eq!(asked(&[9, 10, 11, 19, 20, 29]), "PP");
    }

    #[test]
    fn a_log_at_its_limit_is_begun_anew() {
        assert_eq!(asked(&[30]), "R");
    }

    #[test]
    fn what_a_reader_keeps_from_being_begun_anew_is_not_tried_with_every_commit() {
        assert_eq!(asked(&[30, 31, 39, 40, 41]), "RR");
    }

    #[test]
    fn a_log_that_was_begun_anew_is_copied_as_at_first() {
        assert_eq!(asked(&[30, 1, 9, 10, 20, 30]), "RPPR");
    }
}
