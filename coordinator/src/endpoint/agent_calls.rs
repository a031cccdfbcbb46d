//! What agents say.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use grange_coordinator_core as core;
use grange_interfaces::message::{
    Answer, Assignment, Capacity, ExchangeAnswer, ExchangeRequest, JobAnswer, Phase,
};
use grange_interfaces::{Fault, Refusal};
use grange_model::{
    AgentId, AttemptId, AttemptRecord, DerivationRecord, Digest, Item, Key, Record,
};

use super::dispatch::{Answered, CoordinatorEndpoint};
use crate::available::Available;
use crate::convert::{path_text, store_refusal};
use crate::ingest;

/// Names and tags longer than this are no use to anybody.
const MAX_WORDS: usize = 1_000;

impl CoordinatorEndpoint {
    pub(super) async fn exchange(&self, agent: AgentId, request: ExchangeRequest) -> Answered {
        let Capacity {
            systems,
            tags,
            exclusive,
            parallel,
            ahead,
            resources,
            admission,
            speed,
        } = request.capacity;
        if systems.len() + tags.len() + exclusive.len() + resources.len() > MAX_WORDS {
            return Err(Refusal::new(
                Fault::Caller,
                "an agent has at most 1,000 systems, tags and resources",
            ));
        }
        let capacity = core::Capacity {
            systems,
            tags,
            exclusive,
            parallel,
            ahead,
            resources,
            admission: core::Admission {
                max_load: admission.max_load,
                max_cpu_pressure: admission.max_cpu_pressure,
                max_memory_pressure: admission.max_memory_pressure,
                max_io_pressure: admission.max_io_pressure,
                min_disk_free: admission.min_disk_free,
            },
            speed,
        };
        let health = core::Health {
            load: request.load,
            cpu_pressure: request.health.cpu_pressure,
            memory_pressure: request.health.memory_pressure,
            io_pressure: request.health.io_pressure,
            disk_free: request.health.disk_free,
        };
        let phase = |phase| match phase {
            Phase::Preparing => core::AttemptPhase::Preparing,
            Phase::Building => core::AttemptPhase::Building,
            Phase::Uploading => core::AttemptPhase::Uploading,
        };
        let attempts = request
            .attempts
            .iter()
            .map(|held| (held.attempt, phase(held.phase)))
            .collect();
        let exchange = core::Exchange {
            agent,
            session: request.session,
            revision: request.revision,
            capacity,
            health,
            attempts,
            wait_ms: request.wait_ms,
        };
        let input = move |ticket| core::Input::Exchange { ticket, exchange };
        let core::Reply::Exchange(reply) = self.handle.request(input).await? else {
            return Err(unexpected());
        };
        let assign = reply.assign.into_iter().map(|assignment| Assignment {
            attempt: assignment.attempt,
            derivation: path_text(&assignment.store, &assignment.derivation),
            builds: assignment.builds,
            limits: assignment.limits,
        });
        if !reply.drop.is_empty() {
            let (endpoint, dropped) = (self.clone(), reply.drop.clone());
            tokio::spawn(async move { endpoint.discard_dropped(dropped).await });
        }
        let answer = ExchangeAnswer {
            assign: assign.collect(),
            drop: reply.drop,
            lease_ms: reply.lease_ms,
        };
        Ok((Answer::Exchange(answer), None))
    }

    async fn discard_dropped(self, mut dropped: Vec<AttemptId>) {
        // An agent may name what is another's.
        if let Ok(held) = self.handle.observe(ingest::held).await {
            dropped.retain(|attempt| !held.contains(attempt));
            ingest::discard_dropped(&self.shared, &dropped).await;
        }
    }

    /// The attempt, if it is this agent's and may still decide something.
    pub(super) async fn own(
        &self,
        agent: AgentId,
        attempt: AttemptId,
    ) -> Result<AttemptRecord, Refusal> {
        let found = self
            .handle
            .observe(move |core| core.attempt(agent, attempt))
            .await?;
        found.ok_or_else(|| {
            Refusal::new(
                Fault::Conflict,
                format!("attempt {attempt} is void or another agent's"),
            )
        })
    }

    pub(super) async fn job(&self, agent: AgentId, attempt: AttemptId) -> Answered {
        let attempt = self.own(agent, attempt).await?;
        let (record, text) = self.derivation(attempt.derivation).await?;
        let closure = ingest::closure_of_inputs(&self.shared, &record).await?;
        let mut names = self.names_of_inputs(&record, &closure.missing).await?;
        // What something available refers to is available, unless it was upstream and is gone.
        let referred = closure.items.iter().flat_map(Available::references);
        names.extend(referred.map(|item| (item.digest, item.clone())));
        let missing = closure
            .missing
            .iter()
            .map(|digest| match names.get(digest) {
                Some(item) => path_text(&record.store, item),
                None => path_text(
                    &record.store,
                    &Item {
                        digest: *digest,
                        name: "unknown".to_owned(),
                    },
                ),
            });
        let answer = JobAnswer {
            derivation: path_text(&record.store, &record.item),
            text: BASE64.encode(&text),
            missing: missing.collect(),
            inputs: closure.items.iter().map(Available::view).collect(),
        };
        Ok((Answer::Job(Box::new(answer)), None))
    }

    /// A derivation and its text.
    pub(super) async fn derivation(
        &self,
        digest: Digest,
    ) -> Result<(DerivationRecord, Vec<u8>), Refusal> {
        let keys = [Key::Derivation(digest), Key::DerivationText(digest)];
        let mut found = self
            .shared
            .datastore
            .get(&keys)
            .await
            .map_err(store_refusal)?
            .into_iter()
            .flatten();
        match (found.next(), found.next()) {
            (Some(Record::Derivation(record)), Some(Record::DerivationText { text, .. })) => {
                Ok((record, text))
            }
            _ => Err(Refusal::new(
                Fault::NotFound,
                "the coordinator does not have the derivation",
            )),
        }
    }

    async fn names_of_inputs(
        &self,
        record: &DerivationRecord,
        wanted: &[Digest],
    ) -> Result<BTreeMap<Digest, Item>, Refusal> {
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut names: BTreeMap<_, _> = record
            .sources
            .iter()
            .map(|source| (source.digest, source.clone()))
            .collect();
        let inputs = record
            .inputs
            .iter()
            .filter(|input| wanted.contains(&input.output));
        let keys: Vec<_> = inputs
            .map(|input| Key::Derivation(input.derivation))
            .collect();
        let found = self
            .shared
            .datastore
            .get(&keys)
            .await
            .map_err(store_refusal)?;
        for record in found.into_iter().flatten() {
            if let Record::Derivation(record) = record {
                names.extend(
                    record
                        .outputs
                        .into_iter()
                        .map(|output| (output.item.digest, output.item)),
                );
            }
        }
        Ok(names)
    }
}

pub(crate) fn unexpected() -> Refusal {
    Refusal::new(Fault::Us, "the core gave an answer to another question")
}
