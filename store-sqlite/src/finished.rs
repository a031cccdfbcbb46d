//! Finished builds and what they are found by.

use grange_interfaces::StoreError;
use grange_model::{BuildId, BuildState, FinishedBuild, Record, decode};
use rusqlite::OptionalExtension;

use crate::commit::Commits;
use crate::error::{at, codec};

const FAILED: &str = "cannot write a finished build";

impl Commits<'_> {
    /// Puts a finished build; `record` is it, encoded.
    pub(crate) fn put_finished(
        &mut self,
        finished: &FinishedBuild,
        record: &[u8],
    ) -> Result<(), StoreError> {
        let spec = &finished.build.spec;
        if self.insert(finished, record)? == 0 {
            // An earlier word about it: that goes, with all that it was found by.
            self.remove_finished(spec.id)?;
            self.insert(finished, record)?;
        }
        let id = spec.id.0.as_bytes();
        for (key, value) in &spec.tags {
            self.statements
                .put_tag
                .execute((key, value, id))
                .map_err(at(FAILED))?;
        }
        for cause in &finished.causes {
            self.statements
                .put_lost_input
                .execute((cause.output.0, id))
                .map_err(at(FAILED))?;
        }
        self.count(finished.state, 1);
        Ok(())
    }

    /// Removes a finished build, if it is there.
    pub(crate) fn remove_finished(&mut self, build: BuildId) -> Result<(), StoreError> {
        let id = build.0.as_bytes();
        let record: Option<Vec<u8>> = self
            .statements
            .get_finished
            .query_row([id], |row| row.get(0))
            .optional()
            .map_err(at(FAILED))?;
        let Some(record) = record else { return Ok(()) };
        let finished = finished(build, &record)?;
        for (key, value) in &finished.build.spec.tags {
            self.statements
                .remove_tag
                .execute((key, value, id))
                .map_err(at(FAILED))?;
        }
        for cause in &finished.causes {
            self.statements
                .remove_lost_input
                .execute((cause.output.0, id))
                .map_err(at(FAILED))?;
        }
        self.statements
            .remove_finished
            .execute([id])
            .map_err(at(FAILED))?;
        self.count(finished.state, -1);
        Ok(())
    }

    /// How many rows there are more: none if there is one already.
    fn insert(&mut self, finished: &FinishedBuild, record: &[u8]) -> Result<usize, StoreError> {
        let spec = &finished.build.spec;
        let ended_at = i64::try_from(finished.ended_at.0).unwrap_or(i64::MAX);
        self.statements
            .put_finished
            .execute((
                spec.id.0.as_bytes(),
                finished.state.as_str(),
                &finished.system,
                spec.derivation.0,
                ended_at,
                record,
            ))
            .map_err(at(FAILED))
    }

    fn count(&mut self, state: BuildState, difference: i64) {
        for (count, of) in self.counts.iter_mut().zip(BuildState::ALL) {
            if of == state {
                *count += difference;
            }
        }
    }
}

/// The finished build in a `record` column.
pub(crate) fn finished(build: BuildId, record: &[u8]) -> Result<FinishedBuild, StoreError> {
    let what = || format!("finished build {build}");
    match decode(record).map_err(|error| codec(&what(), &error))? {
        Record::Finished(finished) if finished.build.spec.id == build => Ok(finished),
        other => Err(StoreError::Corrupt(format!(
            "{} holds {:?}",
            what(),
            other.key()
        ))),
    }
}
