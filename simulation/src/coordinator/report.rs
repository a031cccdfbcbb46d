//! What an agent says of an attempt, verified.

use grange_coordinator_core::{Input, Report};
use grange_model::{AttemptId, BlobId, DerivationRecord, ItemRecord, NarHash, SetupProblem};

use super::run::Purpose;
use crate::disk::Content;
use crate::event::Instance;
use crate::farm::Farm;
use crate::invariants::Asked;
use crate::message::{Answer, CallId, Claim, Peer};
use crate::violation::Violation;

/// Why outputs were not taken.
enum Rejected {
    /// Something is not there; the agent may send it again.
    Missing,
    /// They are not what the agent says.
    Lie,
    /// The disk does not keep them.
    Disk,
}

impl Farm {
    pub(crate) fn verified(
        &mut self,
        instance: Instance,
        call: CallId,
        attempt: AttemptId,
        claim: Claim,
    ) -> Result<(), Violation> {
        // It may have taken minutes: what is void by now is not kept.
        if !self.owns(instance, call, (attempt, 0)) {
            return self.over(instance, call, attempt, Answer::Void);
        }
        let Peer::Agent(at) = call.peer else {
            return Ok(());
        };
        let agent = self.agents[at].plan.id;
        let setup = |problem| Report::SetupFailed {
            problem,
            message: "it could not begin".to_owned(),
        };
        let (report, lie) = match claim {
            Claim::Succeeded(hashes) => match self.verify(instance, at, attempt, &hashes) {
                Ok(outputs) => (
                    Report::Succeeded {
                        outputs,
                        log: None,
                        usage: grange_model::Usage::default(),
                    },
                    false,
                ),
                Err(Rejected::Missing) => return self.over(instance, call, attempt, Answer::Void),
                Err(Rejected::Disk) => return self.over(instance, call, attempt, Answer::Busy),
                Err(Rejected::Lie) => {
                    for output in 0..hashes.len() {
                        self.disk.discard((attempt, output));
                    }
                    self.counts.lies += 1;
                    (setup(SetupProblem::Other), true)
                }
            },
            Claim::Failed(kind) => {
                let message = "it does not compile".to_owned();
                let report = Report::Failed {
                    kind,
                    message,
                    log: None,
                    usage: grange_model::Usage::default(),
                };
                (report, false)
            }
            Claim::SetupFailed(problem) => (setup(problem), false),
        };
        let purpose = Purpose::Report { call, attempt, lie };
        self.request(instance, purpose, Asked::Report(attempt), |ticket| {
            Input::Report {
                ticket,
                agent,
                attempt,
                report,
            }
        })
    }

    /// A report is answered without the core.
    fn over(
        &mut self,
        instance: Instance,
        call: CallId,
        attempt: AttemptId,
        answer: Answer,
    ) -> Result<(), Violation> {
        if let Some(run) = self.run(instance) {
            run.verifying.remove(&attempt);
        }
        self.answer(call, answer);
        Ok(())
    }

    /// Looks at what was sent, or lies here from an earlier try of the same report; then seals it.
    fn verify(
        &mut self,
        instance: Instance,
        at: usize,
        attempt: AttemptId,
        hashes: &[NarHash],
    ) -> Result<Vec<ItemRecord>, Rejected> {
        let record = self
            .derivation_of(instance, at, attempt)
            .ok_or(Rejected::Missing)?;
        let mut blobs = Vec::new();
        for (output, claimed) in hashes.iter().enumerate() {
            let sent = self.disk.upload((attempt, output));
            let there = sent.or_else(|| self.disk.blob(BlobId(claimed.0)));
            let mut content = there.cloned().ok_or(Rejected::Missing)?;
            self.rot(&mut content);
            let found = content.nar_hash();
            #[cfg(grange_bugs)]
            let found = if self.scenario.config.bug
                == Some(grange_coordinator_core::Bug::UnverifiedUpload)
            {
                *claimed
            } else {
                found
            };
            if found != *claimed {
                return Err(Rejected::Lie);
            }
            let inputs = record.inputs.iter().map(|input| input.output);
            let references = content.references(inputs);
            let references = references.iter().filter_map(|item| self.items.get(item));
            let references: Vec<_> = references.cloned().collect();
            blobs.push((BlobId(claimed.0), found, content.size(), references));
        }
        let mut records = Vec::new();
        for (at, (output, verified)) in record.outputs.iter().zip(blobs).enumerate() {
            let (blob, nar_hash, nar_size, references) = verified;
            // Outputs that were sealed before it are found under their hashes when the report is sent again.
            let failures = self.scenario.store.failures;
            if self.coordinators.dice.per_mille(failures) {
                return Err(Rejected::Disk);
            }
            let blob = self.disk.seal((attempt, at)).unwrap_or(blob);
            records.push(ItemRecord {
                item: output.item.clone(),
                store: record.store.clone(),
                nar_hash,
                nar_size,
                references,
                deriver: Some(record.item.clone()),
                blob,
                blob_size: 50,
            });
        }
        Ok(records)
    }

    fn derivation_of(
        &self,
        instance: Instance,
        at: usize,
        attempt: AttemptId,
    ) -> Option<DerivationRecord> {
        let run = self.coordinators.runs.get(&instance)?;
        let held = run.core.attempt(self.agents[at].plan.id, attempt)?;
        self.store.derivation(held.derivation).cloned()
    }

    /// Disks give other bytes than they were given, now and then.
    fn rot(&mut self, content: &mut Content) {
        let rate = self.scenario.store.rot;
        let dice = &mut self.coordinators.dice;
        if dice.per_mille(rate)
            && let Some(at) = dice.index(content.0.len())
        {
            content.0[at] ^= 2;
        }
    }
}
