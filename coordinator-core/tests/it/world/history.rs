//! What a Datastore keeps, and a strict look at what is written into it.

use std::collections::{BTreeMap, BTreeSet};

use grange_model::{
    AttemptId, Batch, BuildId, BuildRecord, BuildState, Change, DerivationRecord, Digest, Fact,
    FactNumber, FinishedBuild, ItemRecord, Key, LostReason, NumberedFact, Record, Seq, decode,
    encode,
};

/// Records as bytes, and all facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) records: BTreeMap<Key, Vec<u8>>,
    pub(crate) facts: Vec<NumberedFact>,
    pub(crate) seq: Seq,
    /// Every attempt that was ever written.
    pub(crate) attempts: BTreeSet<AttemptId>,
    expired: BTreeSet<AttemptId>,
    rows: BTreeMap<BuildId, u32>,
    /// What the last commit deleted at the operator's word.
    pruned: BTreeSet<Digest>,
}

fn pruned(batch: &Batch) -> BTreeSet<Digest> {
    let pruned = batch.facts.iter().filter_map(|fact| match fact {
        Fact::Pruned { output } => Some(*output),
        _ => None,
    });
    pruned.collect()
}

impl History {
    /// Writes a batch, and panics if what it says cannot be.
    pub(crate) fn commit(&mut self, seq: Seq, batch: &Batch) {
        assert_eq!(seq, self.seq.next(), "commits follow each other");
        assert_eq!(
            batch.first_fact,
            FactNumber(self.last_fact().0 + 1),
            "facts have no gap"
        );
        assert!(!batch.is_empty(), "an empty commit");
        let batch: Batch = decode(&encode(batch).unwrap()).unwrap();
        self.seq = seq;
        self.pruned = pruned(&batch);
        let before: BTreeSet<_> = self.builds().map(|build| build.spec.id).collect();
        let done = batch
            .facts
            .iter()
            .map(|fact| self.is_done(fact))
            .collect::<Vec<_>>();
        for change in batch.changes.clone() {
            self.change(change);
        }
        for (fact, done) in batch.numbered_facts().zip(done) {
            self.check_fact(done, &fact.fact);
            self.facts.push(fact);
        }
        self.check_attempts();
        self.check_pruned(&before);
        for change in &batch.changes {
            if let Change::Put(Record::Finished(finished)) = change {
                self.check_finished(finished);
            }
            if let Change::Put(Record::Build(build)) = change {
                let derivation = Key::Derivation(build.spec.derivation);
                assert!(self.records.contains_key(&derivation), "a build of nothing");
            }
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Put(record) => {
                let key = record.key();
                match (&record, self.get(&key)) {
                    (Record::Build(new), Some(Record::Build(old))) => {
                        assert_eq!(new.spec.id, old.spec.id, "a row that is in use");
                    }
                    (Record::Attempt(new), Some(Record::Attempt(old))) => {
                        assert_eq!(new.id, old.id, "a row that is in use");
                    }
                    (Record::Item(new), Some(Record::Item(old))) => {
                        assert_eq!(*new, old, "the first item is canonical");
                    }
                    (Record::Finished(new), Some(Record::Finished(old))) => {
                        let state = BuildState::FailedDependency;
                        assert_eq!((new.state, old.state), (state, state), "an end is an end");
                    }
                    _ => {}
                }
                if let Record::Attempt(attempt) = &record {
                    self.attempts.insert(attempt.id);
                }
                if let Record::Build(build) = &record {
                    self.rows.insert(build.spec.id, build.slot);
                }
                self.records.insert(key, encode(&record).unwrap());
            }
            Change::Remove(key) => {
                if let Some(Record::Build(build)) = self.get(&key) {
                    self.rows.remove(&build.spec.id);
                }
                let was = self.records.remove(&key).is_some();
                assert!(
                    was || matches!(key, Key::Failure(_) | Key::Item(_)),
                    "{key:?} was not there"
                );
            }
        }
    }

    /// Whether what is started was available before.
    fn is_done(&self, fact: &Fact) -> bool {
        let Fact::Started { derivation, .. } = fact else {
            return false;
        };
        let record = self.derivation(*derivation).expect("a derivation");
        let mut outputs = record.outputs.iter();
        // What goes in the same commit goes first, or it would not be tried.
        let stays = |output: &Digest| self.has_item(*output) && !self.pruned.contains(output);
        outputs.all(|output| stays(&output.item.digest))
    }

    /// Nothing goes that a build makes or needs which was unfinished before and still is.
    fn check_pruned(&self, before: &BTreeSet<BuildId>) {
        for build in self
            .builds()
            .filter(|build| before.contains(&build.spec.id))
        {
            let record = self
                .derivation(build.spec.derivation)
                .expect("a derivation");
            let made = record.outputs.iter().map(|output| output.item.digest);
            let needed = record.inputs.iter().map(|input| input.output);
            for output in made.chain(needed) {
                let gone = self.pruned.contains(&output);
                assert!(!gone, "{} needs what was pruned", record.item.name);
            }
        }
    }

    fn check_fact(&mut self, done: bool, fact: &Fact) {
        match fact {
            Fact::Expired { attempt, .. } => {
                self.expired.insert(*attempt);
            }
            Fact::Started { builds, .. } if done => {
                let again = builds.iter().any(|build| {
                    self.build(*build).is_some_and(|build| build.spec.again)
                        || self
                            .finished(*build)
                            .is_some_and(|end| end.build.spec.again)
                });
                assert!(again, "{fact:?}: it is built twice");
            }
            _ => {}
        }
    }

    /// No two agents try the same, unless a lease ran out.
    fn check_attempts(&self) {
        let mut tried = BTreeSet::new();
        for key in self.records.keys() {
            if let Key::Attempt(_) = key
                && let Some(Record::Attempt(attempt)) = self.get(key)
                && !self.expired.contains(&attempt.id)
            {
                let what = (attempt.derivation, attempt.again);
                assert!(tried.insert(what), "{what:?} is tried by two agents");
            }
        }
    }

    fn check_finished(&self, finished: &FinishedBuild) {
        let id = finished.build.spec.id;
        let record = self.derivation(finished.build.spec.derivation).unwrap();
        assert!(self.build(id).is_none(), "{id} goes on after its end");
        let name = &record.item.name;
        match finished.state {
            BuildState::Succeeded => {
                for output in &record.outputs {
                    let digest = output.item.digest;
                    let there = self.has_item(digest) || self.pruned.contains(&digest);
                    assert!(there, "{name} succeeded without {}", output.item.name);
                }
            }
            BuildState::FailedDependency => {
                assert!(!finished.causes.is_empty(), "{name} failed for no cause");
                for cause in &finished.causes {
                    let wanted = record
                        .inputs
                        .iter()
                        .any(|input| input.output == cause.output);
                    assert!(wanted, "{name} does not need {cause:?}");
                    let root = self.finished(cause.root).expect("a root that has ended");
                    let real = matches!(root.state, BuildState::Failed | BuildState::Canceled);
                    assert!(real, "{name}: the root ended as {:?}", root.state);
                    assert_eq!(root.build.derivation, cause.root_derivation);
                    let direct = cause.reason != LostReason::FailedDependency;
                    assert!(!direct || cause.root == cause.build, "{name}: {cause:?}");
                }
            }
            _ => assert!(finished.causes.is_empty()),
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Record> {
        let upstream = match key {
            Key::Item(output) => Key::Upstream(*output),
            other => other.clone(),
        };
        let bytes = self
            .records
            .get(key)
            .or_else(|| self.records.get(&upstream));
        bytes.map(|bytes| decode(bytes).unwrap())
    }

    pub(crate) fn has_item(&self, output: Digest) -> bool {
        self.get(&Key::Item(output)).is_some()
    }

    pub(crate) fn item(&self, output: Digest) -> Option<ItemRecord> {
        match self.get(&Key::Item(output)) {
            Some(Record::Item(item)) => Some(item),
            _ => None,
        }
    }

    pub(crate) fn derivation(&self, digest: Digest) -> Option<DerivationRecord> {
        match self.get(&Key::Derivation(digest)) {
            Some(Record::Derivation(derivation)) => Some(derivation),
            _ => None,
        }
    }

    pub(crate) fn finished(&self, id: BuildId) -> Option<FinishedBuild> {
        match self.get(&Key::Finished(id)) {
            Some(Record::Finished(finished)) => Some(finished),
            _ => None,
        }
    }

    pub(crate) fn all_finished(&self) -> impl Iterator<Item = FinishedBuild> + '_ {
        self.records.keys().filter_map(|key| match key {
            Key::Finished(id) => self.finished(*id),
            _ => None,
        })
    }

    /// An unfinished build.
    pub(crate) fn build(&self, id: BuildId) -> Option<BuildRecord> {
        match self.get(&Key::Build(*self.rows.get(&id)?)) {
            Some(Record::Build(build)) => Some(build),
            other => panic!("{other:?} in the row of a build"),
        }
    }

    pub(crate) fn builds(&self) -> impl Iterator<Item = BuildRecord> + '_ {
        let rows = self.records.range(Key::Build(0)..=Key::Build(u32::MAX));
        rows.filter_map(|(key, _)| match self.get(key) {
            Some(Record::Build(build)) => Some(build),
            _ => None,
        })
    }

    pub(crate) fn last_fact(&self) -> FactNumber {
        FactNumber(self.facts.len() as u64)
    }

    /// What a Datastore loads.
    pub(crate) fn live(&self) -> impl Iterator<Item = Record> + '_ {
        let wanted: BTreeSet<_> = self.builds().map(|build| build.spec.derivation).collect();
        let live = move |key: &&Key| match key {
            Key::Agent(_)
            | Key::Build(_)
            | Key::Attempt(_)
            | Key::Hook(_)
            | Key::History { .. } => true,
            Key::Derivation(derivation) => wanted.contains(derivation),
            _ => false,
        };
        let keys = self.records.keys().filter(live);
        keys.filter_map(|key| self.get(key))
    }
}
