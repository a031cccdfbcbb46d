//! What a coordinator must not write, although a real Datastore would take it.

use grange_interfaces::StoreError;
use grange_model::{AttemptRecord, Batch, BuildRecord, Change, FinishedBuild, Key, Record};

use super::state::{State, corrupt};

impl State {
    /// Looks at everything that the batch touched, as it is after the batch.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), StoreError> {
        for change in &batch.changes {
            let key = match change {
                Change::Put(record) => record.key(),
                Change::Remove(key) => key.clone(),
            };
            match self.record(&key)? {
                Some(Record::Build(build)) => self.check_build(&build)?,
                Some(Record::Attempt(attempt)) => self.check_attempt(&attempt)?,
                Some(Record::Finished(finished)) => self.check_finished(&finished)?,
                Some(Record::Hook(hook)) => {
                    let last = self.fact().0 + batch.facts.len() as u64;
                    if hook.cursor.0 > last {
                        return corrupt(format!(
                            "the hook `{}` is done with fact {}, and the last one is {last}",
                            hook.name, hook.cursor.0
                        ));
                    }
                }
                Some(_) => {}
                None => self.check_removed(&key)?,
            }
        }
        Ok(())
    }

    fn check_build(&self, build: &BuildRecord) -> Result<(), StoreError> {
        let spec = &build.spec;
        if build.derivation.digest != spec.derivation {
            return corrupt(format!("build {} names two derivations", spec.id));
        }
        if !self.records.contains_key(&Key::Derivation(spec.derivation)) {
            return corrupt(format!("the derivation of build {} is not there", spec.id));
        }
        if self.live.get(&spec.id) != Some(&build.slot) {
            return corrupt(format!("build {} has two rows", spec.id));
        }
        if self.records.contains_key(&Key::Finished(spec.id)) {
            return corrupt(format!("build {} is finished and unfinished", spec.id));
        }
        Ok(())
    }

    fn check_attempt(&self, attempt: &AttemptRecord) -> Result<(), StoreError> {
        let id = attempt.id;
        if id.term > self.term {
            return corrupt(format!("attempt {id} is of a term that was never claimed"));
        }
        let slots = self.of.get(&attempt.derivation);
        let there = match attempt.again {
            None => slots.is_some_and(|slots| !slots.is_empty()),
            Some(build) => self
                .live
                .get(&build)
                .is_some_and(|slot| slots.is_some_and(|slots| slots.contains(slot))),
        };
        if there {
            Ok(())
        } else {
            corrupt(format!("attempt {id} is of no unfinished build"))
        }
    }

    fn check_finished(&self, finished: &FinishedBuild) -> Result<(), StoreError> {
        let id = finished.build.spec.id;
        if self.live.contains_key(&id) {
            return corrupt(format!("build {id} is finished and unfinished"));
        }
        if !finished.state.is_final() {
            return corrupt(format!("build {id} ended as {:?}", finished.state));
        }
        Ok(())
    }

    fn check_removed(&self, key: &Key) -> Result<(), StoreError> {
        match key {
            Key::Derivation(digest)
                if self.of.get(digest).is_some_and(|slots| !slots.is_empty()) =>
            {
                corrupt(format!(
                    "an unfinished build is of {digest:?}, which is removed"
                ))
            }
            _ => Ok(()),
        }
    }
}
