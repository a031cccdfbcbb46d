//! The live records, streamed.
//!
//! One thread reads, others decode what it has read: at start nothing else is to be done, and
//! decoding takes about twice as long as reading.

use std::collections::HashMap;

use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, future};
use grange_interfaces::StoreError;
use grange_model::{Digest, Record, Term, decode};
use rusqlite::{Connection, Row};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::error::{at, codec};
use crate::read::newest_term;
use crate::readers::{Readers, snapshot};

/// How many records go together.
const CHUNK: usize = 1_000;
/// How many chunks are decoded at once.
const DECODERS: usize = 2;
const FAILED: &str = "cannot read live records";

/// To look up a derivation by its digest takes as long as to read so many one after the other.
const LOOK_UP: u64 = 4;

/// Where live records come from.
struct Live {
    /// The last column is the record.
    sql: &'static str,
    belongs: fn(&Record) -> bool,
}

static AGENTS: Live = Live {
    sql: "SELECT record FROM agent",
    belongs: |record| matches!(record, Record::Agent(_)),
};
static HOOKS: Live = Live {
    sql: "SELECT record FROM hook",
    belongs: |record| matches!(record, Record::Hook(_)),
};
static HISTORY: Live = Live {
    sql: "SELECT record FROM history",
    belongs: |record| matches!(record, Record::History(_)),
};
/// Where most derivations have unfinished builds.
static ALL_DERIVATIONS: Live = Live {
    sql: "SELECT digest, record FROM derivation",
    belongs: |record| matches!(record, Record::Derivation(_)),
};
/// Where few of them have.
static SOME_DERIVATIONS: Live = Live {
    // In the order in which they lie in the file: by their digests each would be a read of its own.
    sql: "SELECT digest, record FROM derivation WHERE id IN
          (SELECT d.id FROM build b CROSS JOIN derivation d ON d.digest = b.derivation)",
    belongs: |record| matches!(record, Record::Derivation(_)),
};
static BUILDS: Live = Live {
    sql: "SELECT record FROM build",
    belongs: |record| matches!(record, Record::Build(_)),
};
static ATTEMPTS: Live = Live {
    sql: "SELECT record FROM attempt",
    belongs: |record| matches!(record, Record::Attempt(_)),
};

/// Encoded records, one behind the other.
struct Chunk {
    of: &'static Live,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Streams from threads and a connection of its own, which end when the stream is dropped. At most
/// five chunks are in memory.
pub(crate) fn stream(
    readers: &Readers,
    term: Term,
) -> BoxStream<'_, Result<Vec<Record>, StoreError>> {
    let start = async move {
        let (sender, receiver) = mpsc::channel(1);
        let open = readers.open();
        spawn_blocking(move || {
            let sent = open().and_then(|mut connection| {
                snapshot(&mut connection, |snapshot| {
                    send_all(snapshot, term, &sender)
                })
            });
            if let Err(error) = sent {
                // Nobody listens any more: then nobody needs to know.
                let _ = sender.blocking_send(Err(error));
            }
        });
        stream::unfold(receiver, async |mut receiver| {
            Some((receiver.recv().await?, receiver))
        })
    };
    let decoded = |chunk: Result<Chunk, StoreError>| match chunk {
        Err(error) => future::ready(Err(error)).right_future(),
        Ok(chunk) => {
            let decoding = spawn_blocking(move || chunk.decode());
            let ended = |error| StoreError::Unavailable(format!("a decoder ended: {error}"));
            async move { decoding.await.map_err(ended)? }.left_future()
        }
    };
    stream::once(start)
        .flatten()
        .map(decoded)
        .buffered(DECODERS)
        .boxed()
}

fn send_all(
    connection: &Connection,
    term: Term,
    sender: &mpsc::Sender<Result<Chunk, StoreError>>,
) -> Result<(), StoreError> {
    let holder = Term(newest_term(connection)?);
    if holder > term {
        return Err(StoreError::Fenced { mine: term, holder });
    }
    let sending = Sending { connection, sender };
    // What is referred to comes first.
    for of in [&AGENTS, &HOOKS, &HISTORY] {
        if !sending.send(of, |_| Ok(true))? {
            return Ok(());
        }
    }
    let mut wanted = Wanted::read(connection)?;
    let derivations = if wanted.are_most(connection)? {
        &ALL_DERIVATIONS
    } else {
        &SOME_DERIVATIONS
    };
    let is_wanted = |row: &Row<'_>| {
        let digest = row.get_ref(0).map_err(at(FAILED))?;
        Ok(digest.as_blob().is_ok_and(|digest| wanted.find(digest)))
    };
    if !sending.send(derivations, is_wanted)? {
        return Ok(());
    }
    wanted.are_found()?;
    drop(wanted);
    for of in [&BUILDS, &ATTEMPTS] {
        if !sending.send(of, |_| Ok(true))? {
            return Ok(());
        }
    }
    Ok(())
}

/// Sends rows of a snapshot.
struct Sending<'a> {
    connection: &'a Connection,
    sender: &'a mpsc::Sender<Result<Chunk, StoreError>>,
}

impl Sending<'_> {
    /// Sends records, but only those of rows that are wanted. Whether anybody listens.
    fn send(
        &self,
        of: &'static Live,
        mut is_wanted: impl FnMut(&Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare(of.sql).map_err(at(FAILED))?;
        let record = statement.column_count() - 1;
        let mut rows = statement.query([]).map_err(at(FAILED))?;
        let mut chunk = Chunk::new(of, 0);
        while let Some(row) = rows.next().map_err(at(FAILED))? {
            if !is_wanted(row)? {
                continue;
            }
            let record = row
                .get_ref(record)
                .and_then(|record| Ok(record.as_blob()?))
                .map_err(at(FAILED))?;
            chunk.bytes.extend_from_slice(record);
            chunk.ends.push(chunk.bytes.len());
            if chunk.ends.len() == CHUNK {
                let next = Chunk::new(of, chunk.bytes.len());
                let full = std::mem::replace(&mut chunk, next);
                if self.sender.blocking_send(Ok(full)).is_err() {
                    return Ok(false);
                }
            }
        }
        Ok(chunk.ends.is_empty() || self.sender.blocking_send(Ok(chunk)).is_ok())
    }
}

/// Derivations that have unfinished builds, and whether they were found.
struct Wanted(HashMap<Digest, bool>);

impl Wanted {
    fn read(connection: &Connection) -> Result<Self, StoreError> {
        let mut statement = connection
            .prepare("SELECT derivation FROM build")
            .map_err(at(FAILED))?;
        let digests = statement.query_map([], |row| Ok((Digest(row.get(0)?), false)));
        let wanted: Result<_, _> = digests.map_err(at(FAILED))?.collect();
        wanted.map(Self).map_err(at(FAILED))
    }

    /// Whether it takes less time to read all derivations than to look up these.
    fn are_most(&self, connection: &Connection) -> Result<bool, StoreError> {
        let newest = "SELECT coalesce(max(id), 0) FROM derivation";
        let newest: i64 = connection
            .query_row(newest, [], |row| row.get(0))
            .map_err(at(FAILED))?;
        Ok(newest.unsigned_abs() < LOOK_UP * self.0.len() as u64)
    }

    /// Whether a derivation is one of these.
    fn find(&mut self, digest: &[u8]) -> bool {
        let digest = digest.try_into().map(Digest).ok();
        let found = digest.and_then(|digest| self.0.get_mut(&digest));
        found.map(|found| *found = true).is_some()
    }

    /// Whether each of them was found.
    fn are_found(&self) -> Result<(), StoreError> {
        let missing = self.0.iter().filter(|(_, found)| !**found);
        missing
            .map(|(digest, _)| digest)
            .min()
            .map_or(Ok(()), |digest| {
                Err(StoreError::Corrupt(format!(
                    "an unfinished build is of {digest:?}, which is not there"
                )))
            })
    }
}

impl Chunk {
    /// An empty one that is expected to take so many bytes.
    fn new(of: &'static Live, bytes: usize) -> Self {
        Self {
            of,
            // Some more: they are not all alike.
            bytes: Vec::with_capacity(bytes + bytes / 8),
            ends: Vec::with_capacity(CHUNK),
        }
    }

    fn decode(self) -> Result<Vec<Record>, StoreError> {
        let mut start = 0;
        let mut records = Vec::with_capacity(self.ends.len());
        for end in self.ends {
            let record: Record =
                decode(&self.bytes[start..end]).map_err(|error| codec("a live record", &error))?;
            if !(self.of.belongs)(&record) {
                let (sql, key) = (self.of.sql, record.key());
                return Err(StoreError::Corrupt(format!("`{sql}` gave {key:?}")));
            }
            records.push(record);
            start = end;
        }
        Ok(records)
    }
}
