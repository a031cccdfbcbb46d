//! How attempts ended, as agents say it.

use std::collections::BTreeSet;
use std::iter;
use std::pin::pin;

use futures::{StreamExt, stream};
use grange_coordinator_core as core;
use grange_derivation::{Derivation, StorePath};
use grange_fail_points::{Point, reach};
use grange_interfaces::message::{Answer, Report};
use grange_interfaces::{Fault, Refusal};
use grange_model::{AgentId, AttemptId, BlobId, DerivationRecord, SetupProblem};

use super::dispatch::{Answered, CoordinatorEndpoint};
use crate::convert::{digest, parse_path, store_dir, store_path};
use crate::ingest::{self, Rejected};
use crate::retain::Pin;
use crate::upstream;

/// How many reports of one message are looked at at once.
const AT_ONCE: usize = 100;

impl CoordinatorEndpoint {
    pub(super) async fn report(
        &self,
        agent: AgentId,
        reports: Vec<(AttemptId, Report)>,
    ) -> Answered {
        let mut answers = Vec::new();
        let mut reports = reports.into_iter().peekable();
        while reports.peek().is_some() {
            // What is said of one attempt is looked at one after the other, of several at once: each waits for a commit, and
            // one commit then serves them all.
            let mut attempts = BTreeSet::new();
            let run = iter::from_fn(|| reports.next_if(|(attempt, _)| attempts.insert(*attempt)));
            let run: Vec<_> = run.collect();
            let taking = stream::iter(run)
                .map(|(attempt, report)| self.take_report(agent, attempt, report))
                .buffered(AT_ONCE);
            let mut taking = pin!(taking);
            while let Some(taken) = taking.next().await {
                if matches!(&taken, Err(refusal) if refusal.is_transient()) {
                    return Err(taken.expect_err("it was just seen to be a refusal"));
                }
                answers.push(taken.err());
            }
        }
        Ok((Answer::Reported(answers), None))
    }

    /// Takes a report, also if who sent it hangs up meanwhile.
    ///
    /// Counter-example: an output takes longer to verify than the agent waits for an answer. If the
    /// work ended with the call, it would be begun again by each try, and never be done; if it went
    /// on and the next try were let in beside it, both would seal the one log.
    async fn take_report(
        &self,
        agent: AgentId,
        id: AttemptId,
        report: Report,
    ) -> Result<(), Refusal> {
        let turn = self.shared.begin_report(id)?;
        let endpoint = self.clone();
        let work = tokio::spawn(async move {
            let taken = endpoint.report_one(agent, id, report).await;
            drop(turn);
            taken
        });
        let failed = |error| Refusal::new(Fault::Us, format!("taking a report failed: {error}"));
        work.await.map_err(failed)?
    }

    async fn report_one(
        &self,
        agent: AgentId,
        id: AttemptId,
        report: Report,
    ) -> Result<(), Refusal> {
        let attempt = self.own(agent, id).await?;
        // Of what the report names, until it is durable.
        let (mut pins, mut needed) = (Vec::new(), None);
        let (report, refused) = match report {
            Report::Succeeded {
                outputs,
                log_size,
                usage,
            } => {
                ingest::check_log(&self.shared, id, log_size).await?;
                let (record, text) = self.derivation(attempt.derivation).await?;
                let (path, derivation) = parse_record(&record, &text)?;
                let still_wanted = async { self.own(agent, id).await.map(drop) };
                let verified = ingest::verify_outputs(
                    &self.shared,
                    &self.handle,
                    id,
                    &record,
                    &derivation,
                    &path,
                    &outputs,
                    still_wanted,
                );
                match verified.await {
                    Ok((outputs, kept)) => {
                        needed = Some(kept);
                        let log = self.seal_log(id, log_size, &mut pins).await?;
                        let report = core::Report::Succeeded {
                            outputs,
                            log,
                            usage,
                        };
                        (report, None)
                    }
                    Err(Rejected::Refusal(refusal)) => return Err(refusal),
                    Err(Rejected::Foreign(message)) => {
                        let refusal = Refusal::new(Fault::Operator, message.clone());
                        let problem = SetupProblem::Other;
                        (
                            core::Report::SetupFailed { problem, message },
                            Some(refusal),
                        )
                    }
                    Err(Rejected::Lie(lie)) => {
                        // Others try; this agent's word on this build is worth nothing for a while.
                        let hashes = outputs.iter().map(|output| &*output.file_hash);
                        ingest::discard_outputs(&self.shared, id, hashes).await;
                        tracing::warn!(%agent, attempt = %id, lie = lie.0, "an agent sent what it did not announce");
                        let message =
                            format!("what the agent sent was not what it announced: {}", lie.0);
                        let refusal = Refusal::new(Fault::Peer, message.clone());
                        let problem = SetupProblem::Other;
                        (
                            core::Report::SetupFailed { problem, message },
                            Some(refusal),
                        )
                    }
                }
            }
            Report::Failed {
                kind,
                message,
                log_size,
                usage,
            } => {
                ingest::check_log(&self.shared, id, log_size).await?;
                let log = self.seal_log(id, log_size, &mut pins).await?;
                let report = core::Report::Failed {
                    kind,
                    message,
                    log,
                    usage,
                };
                (report, None)
            }
            Report::SetupFailed {
                missing,
                problem,
                message,
            } => {
                let paths = missing
                    .iter()
                    .map(|path| parse_path(&self.shared.config, path));
                let missing = paths.map(|path| path.map(|path| digest(&path)));
                let mut missing = missing.collect::<Result<Vec<_>, _>>()?;
                if !missing.is_empty() {
                    let (record, _) = self.derivation(attempt.derivation).await?;
                    let torn = upstream::forget_torn(&self.shared, &self.handle, &record).await?;
                    missing.extend(torn);
                    missing.sort_unstable();
                    missing.dedup();
                }
                let problem = match problem.as_str() {
                    _ if !missing.is_empty() => SetupProblem::MissingInputs(missing),
                    "outputs-in-the-way" => SetupProblem::OutputsInTheWay,
                    "disk-full" => SetupProblem::DiskFull,
                    "unsupported" => SetupProblem::Unsupported,
                    _ => SetupProblem::Other,
                };
                (core::Report::SetupFailed { problem, message }, None)
            }
            _ => {
                return Err(Refusal::new(
                    Fault::Caller,
                    "this kind of report is not known here",
                ));
            }
        };
        let input = move |ticket| core::Input::Report {
            ticket,
            agent,
            attempt: id,
            report,
        };
        self.handle.request(input).await?;
        reach(Point::ReportTaken);
        drop((pins, needed));
        self.shared.log_grew();
        refused.map_or(Ok(()), Err)
    }

    async fn seal_log(
        &self,
        attempt: AttemptId,
        said: u64,
        pins: &mut Vec<Pin>,
    ) -> Result<Option<BlobId>, Refusal> {
        let sealed = ingest::seal_log(&self.shared, attempt, said).await?;
        Ok(sealed.map(|(log, pin)| {
            pins.push(pin);
            log
        }))
    }
}

fn parse_record(
    record: &DerivationRecord,
    text: &[u8],
) -> Result<(StorePath, Derivation), Refusal> {
    let path = store_path(&store_dir(&record.store)?, &record.item)?;
    let name = path.derivation_name().unwrap_or_default();
    let derivation = Derivation::parse(path.store(), name, text).map_err(|error| {
        Refusal::new(
            Fault::Us,
            format!("a stored derivation cannot be read: {error}"),
        )
    })?;
    Ok((path, derivation))
}
