//! What is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grange_interfaces::{Claim, Claimed, StoreError};
use grange_model::{
    Batch, BuildId, Change, Digest, FactNumber, Key, NumberedFact, Record, Seq, Term, decode,
    encode,
};

/// Everything, as bytes: who reads it decodes it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) records: BTreeMap<Key, Vec<u8>>,
    /// Numbered facts, encoded; the first is fact 1.
    pub(crate) journal: Vec<Vec<u8>>,
    /// Live builds by id and by derivation, for the rules.
    pub(crate) live: BTreeMap<BuildId, u32>,
    pub(crate) of: BTreeMap<Digest, BTreeSet<u32>>,
    pub(crate) term: Term,
    pub(crate) last: Option<(Term, Seq, Arc<Batch>)>,
    /// The handle that claimed it last and is still there.
    holder: Option<u64>,
    handles: u64,
}

impl State {
    /// A number for a new handle. 0 stands for a coordinator elsewhere.
    pub(crate) fn handle(&mut self) -> u64 {
        self.handles += 1;
        self.handles
    }

    pub(crate) fn claim(&mut self, handle: u64, how: Claim) -> Result<Claimed, StoreError> {
        match self.holder {
            Some(holder) if holder != handle && how == Claim::Exclusive => {
                return Err(StoreError::InUse(format!("handle {holder}")));
            }
            _ => {}
        }
        self.holder = Some(handle);
        self.term = Term(self.term.0 + 1);
        Ok(Claimed {
            term: self.term,
            seq: self.seq(),
            fact: self.fact(),
        })
    }

    /// The handle is gone.
    pub(crate) fn leave(&mut self, handle: u64) {
        if self.holder == Some(handle) {
            self.holder = None;
        }
    }

    pub(crate) fn seq(&self) -> Seq {
        self.last.as_ref().map_or(Seq(0), |(_, seq, _)| *seq)
    }

    pub(crate) fn fact(&self) -> FactNumber {
        FactNumber(self.journal.len() as u64)
    }

    pub(crate) fn commit(
        &mut self,
        term: Term,
        seq: Seq,
        batch: &Arc<Batch>,
    ) -> Result<(), StoreError> {
        if term < self.term {
            return Err(StoreError::Fenced {
                mine: term,
                holder: self.term,
            });
        }
        if term > self.term {
            return corrupt(format!(
                "{term:?} was never claimed, the newest is {:?}",
                self.term
            ));
        }
        if let Some((last_term, last_seq, last)) = &self.last
            && (*last_term, *last_seq) == (term, seq)
        {
            if last != batch {
                return corrupt(format!("{seq:?} was written before, with another content"));
            }
            return Ok(());
        }
        if seq != self.seq().next() {
            return corrupt(format!("{seq:?} does not follow {:?}", self.seq()));
        }
        if !batch.facts.is_empty() && batch.first_fact.0 != self.fact().0 + 1 {
            return corrupt(format!(
                "{:?} does not follow {:?}",
                batch.first_fact,
                self.fact()
            ));
        }
        let mut undo = Vec::new();
        let applied = batch
            .changes
            .iter()
            .try_for_each(|change| self.change(change, &mut undo))
            .and_then(|()| self.check(batch));
        if let Err(error) = applied {
            for (key, bytes) in undo.into_iter().rev() {
                self.set(key, bytes)?;
            }
            return Err(error);
        }
        for fact in batch.numbered_facts() {
            self.journal.push(round_trip(&fact)?);
        }
        self.last = Some((term, seq, Arc::clone(batch)));
        Ok(())
    }

    fn change(
        &mut self,
        change: &Change,
        undo: &mut Vec<(Key, Option<Vec<u8>>)>,
    ) -> Result<(), StoreError> {
        let (key, bytes) = match change {
            Change::Put(record) => (record.key(), Some(round_trip(record)?)),
            Change::Remove(key) => (key.clone(), None),
        };
        let before = self.set(key.clone(), bytes)?;
        undo.push((key, before));
        Ok(())
    }

    /// Sets or removes a record, and returns what was there.
    fn set(&mut self, key: Key, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, StoreError> {
        let before = self.records.remove(&key);
        if let Key::Build(slot) = key {
            if let Some(Record::Build(build)) = read(before.as_ref())? {
                self.live.remove(&build.spec.id);
                if let Some(slots) = self.of.get_mut(&build.spec.derivation) {
                    slots.remove(&slot);
                }
            }
            if let Some(Record::Build(build)) = read(bytes.as_ref())? {
                self.live.insert(build.spec.id, slot);
                self.of
                    .entry(build.spec.derivation)
                    .or_default()
                    .insert(slot);
            }
        }
        if let Some(bytes) = bytes {
            self.records.insert(key, bytes);
        }
        Ok(before)
    }

    /// The record under a key.
    pub(crate) fn record(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        read(self.records.get(key))
    }

    /// The fact of this number.
    pub(crate) fn numbered_fact(&self, number: u64) -> Result<Option<NumberedFact>, StoreError> {
        let index = number
            .checked_sub(1)
            .and_then(|index| usize::try_from(index).ok());
        let bytes = index.and_then(|index| self.journal.get(index));
        bytes.map(|bytes| decoded(bytes)).transpose()
    }
}

pub(crate) fn corrupt<T>(message: String) -> Result<T, StoreError> {
    Err(StoreError::Corrupt(message))
}

fn read(bytes: Option<&Vec<u8>>) -> Result<Option<Record>, StoreError> {
    bytes.map(|bytes| decoded(bytes)).transpose()
}

fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    decode(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The bytes of a value, if they are the same value again.
fn round_trip<T>(value: &T) -> Result<Vec<u8>, StoreError>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let bytes = encode(value).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    if decoded::<T>(&bytes)? != *value {
        return corrupt(format!(
            "encoded and decoded, this is something else: {value:?}"
        ));
    }
    Ok(bytes)
}
