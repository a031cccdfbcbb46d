//! What one commit writes.

use serde::{Deserialize, Serialize};

use crate::{Fact, FactNumber, Key, NumberedFact, Record, Timestamp};

/// One change to the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "a change is nearly always a put")]
pub enum Change {
    /// From now on this is the record under its key.
    Put(Record),
    /// There is no record under this key any more; if there was none, nothing happens.
    Remove(Key),
}

/// What one commit writes, as a whole or not at all.
///
/// Changes apply in order, so that of two of one key the later counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// When it was decided.
    pub at: Timestamp,
    /// The number of the first fact; the others follow without a gap.
    pub first_fact: FactNumber,
    /// What happened.
    pub facts: Vec<Fact>,
    /// What changes.
    pub changes: Vec<Change>,
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.changes.is_empty()
    }

    /// The facts with their places in the journal.
    pub fn numbered_facts(&self) -> impl Iterator<Item = NumberedFact> + '_ {
        (self.first_fact.0..)
            .zip(&self.facts)
            .map(|(number, fact)| NumberedFact {
                number: FactNumber(number),
                at: self.at,
                fact: fact.clone(),
            })
    }
}
