//! The live records, streamed.
//!
//! One thread reads, others decode what it has read: at start nothing else is to be done, and
//! decoding takes about twice as long as reading.

use std::collections::HashSet;

use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, future};
use grange_interfaces::StoreError;
use grange_model::{Digest, Record, Term, decode};
use rusqlite::Connection;
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

/// Where live records come from.
struct Live {
    /// The second column is the record, the first what [`Self::digest`] says.
    sql: &'static str,
    digest: Column,
    belongs: fn(&Record) -> bool,
}

/// What the first column is.
#[derive(PartialEq)]
enum Column {
    /// Nothing.
    Null,
    /// The digest of a derivation that is there.
    Known,
    /// That of a derivation that has to be there.
    Needed,
}

/// In the order in which their records come: what is referred to comes first.
static LIVE: [Live; 6] = [
    Live {
        sql: "SELECT NULL, record FROM agent",
        digest: Column::Null,
        belongs: |record| matches!(record, Record::Agent(_)),
    },
    Live {
        sql: "SELECT NULL, record FROM hook",
        digest: Column::Null,
        belongs: |record| matches!(record, Record::Hook(_)),
    },
    Live {
        sql: "SELECT NULL, record FROM history",
        digest: Column::Null,
        belongs: |record| matches!(record, Record::History(_)),
    },
    Live {
        // In the order in which they lie in the file: by their digests each would be a read of its own.
        sql: "SELECT digest, record FROM derivation WHERE id IN
              (SELECT d.id FROM build b CROSS JOIN derivation d ON d.digest = b.derivation)",
        digest: Column::Known,
        belongs: |record| matches!(record, Record::Derivation(_)),
    },
    Live {
        sql: "SELECT derivation, record FROM build",
        digest: Column::Needed,
        belongs: |record| matches!(record, Record::Build(_)),
    },
    Live {
        sql: "SELECT NULL, record FROM attempt",
        digest: Column::Null,
        belongs: |record| matches!(record, Record::Attempt(_)),
    },
];

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
    let mut derivations = HashSet::new();
    for of in &LIVE {
        let mut statement = connection.prepare(of.sql).map_err(at(FAILED))?;
        let mut rows = statement.query([]).map_err(at(FAILED))?;
        let mut chunk = Chunk::new(of);
        while let Some(row) = rows.next().map_err(at(FAILED))? {
            let (digest, record) = row
                .get::<_, Option<[u8; 20]>>(0)
                .and_then(|digest| Ok((digest, row.get_ref(1)?.as_blob()?)))
                .map_err(at(FAILED))?;
            chunk.bytes.extend_from_slice(record);
            chunk.ends.push(chunk.bytes.len());
            if let Some(digest) = digest {
                if of.digest == Column::Known {
                    derivations.insert(digest);
                } else if !derivations.contains(&digest) {
                    return Err(StoreError::Corrupt(format!(
                        "an unfinished build is of {:?}, which is not there",
                        Digest(digest)
                    )));
                }
            }
            if chunk.ends.len() == CHUNK {
                let full = std::mem::replace(&mut chunk, Chunk::new(of));
                if sender.blocking_send(Ok(full)).is_err() {
                    return Ok(());
                }
            }
        }
        if !chunk.ends.is_empty() && sender.blocking_send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

impl Chunk {
    fn new(of: &'static Live) -> Self {
        Self {
            of,
            bytes: Vec::new(),
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
