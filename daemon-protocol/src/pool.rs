//! Connections to share.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::dialect::Speech;
use crate::error::DaemonError;

/// How long a connection is used. Whatever was imported by it is kept from garbage collection as long as it is open.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Connections to one daemon. One that failed is never used again.
#[derive(Debug)]
pub(crate) struct Pool {
    socket: PathBuf,
    speech: &'static dyn Speech,
    patience: Duration,
    most: usize,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    connections: Vec<(Instant, Connection)>,
    /// How often idle connections were closed. What was leased before is closed when it comes back.
    era: u64,
}

impl Pool {
    pub(crate) fn new(
        socket: PathBuf,
        speech: &'static dyn Speech,
        patience: Duration,
        most: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            socket,
            speech,
            patience,
            most,
            idle: Mutex::default(),
        })
    }

    /// A connection of one's own.
    pub(crate) async fn open(&self) -> Result<Connection, DaemonError> {
        Connection::open(&self.socket, self.speech, self.patience).await
    }

    /// A connection for a while.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, DaemonError> {
        let now = Instant::now();
        let (era, idle) = {
            let mut idle = self.idle();
            idle.connections.retain(|(since, connection)| {
                now.duration_since(*since) < MAX_AGE && connection.is_usable()
            });
            (idle.era, idle.connections.pop())
        };
        let (since, connection) = match idle {
            Some(idle) => idle,
            None => (now, self.open().await?),
        };
        Ok(Lease {
            pool: Arc::clone(self),
            era,
            since,
            connection,
        })
    }

    /// A new connection for a while.
    pub(crate) async fn fresh(self: &Arc<Self>) -> Result<Lease, DaemonError> {
        let era = self.idle().era;
        Ok(Lease {
            pool: Arc::clone(self),
            era,
            since: Instant::now(),
            connection: self.open().await?,
        })
    }

    /// Closes what nobody uses, and with it what it keeps from garbage collection.
    pub(crate) fn close_idle(&self) {
        let mut idle = self.idle();
        idle.connections.clear();
        idle.era += 1;
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that goes back with [`Lease::done`], and is closed otherwise: whoever was stopped or failed in the middle
/// leaves a connection that nobody can use.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    era: u64,
    since: Instant,
    connection: Connection,
}

impl Lease {
    /// Gives it back. Everything that was asked for has been read.
    pub(crate) fn done(mut self) {
        self.connection.set_patience(self.pool.patience);
        let mut idle = self.pool.idle();
        let room = idle.connections.len() < self.pool.most;
        if room && idle.era == self.era && self.since.elapsed() < MAX_AGE {
            idle.connections.push((self.since, self.connection));
        }
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
