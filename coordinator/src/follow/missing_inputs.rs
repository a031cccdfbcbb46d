//! The hook that most farms want: what an agent misses is built.

use std::collections::BTreeSet;

use async_trait::async_trait;
use grange_interfaces::{Delivery, History, Hook, HookError, Request, StoreError};
use grange_model::{
    BuildId, BuildSpec, DerivationRecord, Digest, Fact, Key, Limits, NumberedFact, Record,
    Resources, SetupProblem, Tags,
};

/// When an agent reports that inputs are missing, asks for builds of the derivations that make
/// them. It is what the Guix Build Coordinator does by default.
#[derive(Clone, Copy, Debug)]
pub struct MissingInputs {
    /// How long those builds may take.
    pub limits: Limits,
}

impl Default for MissingInputs {
    fn default() -> Self {
        Self {
            limits: Limits {
                timeout_ms: 24 * 3_600_000,
                max_silent_ms: 2 * 3_600_000,
            },
        }
    }
}

#[async_trait]
impl Hook for MissingInputs {
    fn name(&self) -> &str {
        "missing-inputs"
    }

    async fn wants(
        &self,
        facts: &[NumberedFact],
        _history: &dyn History,
    ) -> Result<Vec<bool>, HookError> {
        let wanted = |fact: &NumberedFact| matches!(fact.fact, Fact::SetupFailed { .. });
        Ok(facts.iter().map(wanted).collect())
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        history: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        let Fact::SetupFailed {
            derivation,
            failure,
            ..
        } = &delivery.fact.fact
        else {
            return Ok(Vec::new());
        };
        let SetupProblem::MissingInputs(missing) = &failure.problem else {
            return Ok(Vec::new());
        };
        let retry = |error: StoreError| HookError::Retry(error.to_string());
        let found = history
            .get(&[Key::Derivation(*derivation)])
            .await
            .map_err(retry)?;
        let Some(Some(Record::Derivation(record))) = found.into_iter().next() else {
            return Err(HookError::Reject("the derivation is not there".to_owned()));
        };
        let keys: Vec<_> = missing.iter().map(|output| Key::Item(*output)).collect();
        let available = history.get(&keys).await.map_err(retry)?;
        let gone = missing
            .iter()
            .zip(available)
            .filter(|(_, item)| item.is_none());
        let gone: BTreeSet<_> = gone.map(|(output, _)| *output).collect();
        let derivations = makers(history, record, gone).await.map_err(retry)?;
        Ok(derivations
            .into_iter()
            .map(|derivation| Request::Build(self.build(derivation)))
            .collect())
    }
}

/// The derivations that make these outputs: inputs of a derivation, or inputs of those, and so on. What is missing is
/// mostly an input. It may also be what an input refers to, if that was upstream and is gone.
async fn makers(
    history: &dyn History,
    record: DerivationRecord,
    mut outputs: BTreeSet<Digest>,
) -> Result<BTreeSet<Digest>, StoreError> {
    let mut makers = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut level = vec![record];
    while !outputs.is_empty() && !level.is_empty() {
        for input in level.iter().flat_map(|record| &record.inputs) {
            if outputs.remove(&input.output) {
                makers.insert(input.derivation);
            }
        }
        if outputs.is_empty() {
            break;
        }
        let next = level.iter().flat_map(|record| &record.inputs);
        let next = next.map(|input| input.derivation);
        let keys: BTreeSet<_> = next.filter(|it| seen.insert(*it)).collect();
        let keys: Vec<_> = keys.into_iter().map(Key::Derivation).collect();
        let found = history.get(&keys).await?;
        let node = |record| match record {
            Some(Record::Derivation(record)) => Some(record),
            _ => None,
        };
        level = found.into_iter().filter_map(node).collect();
        // An output that nobody names as an input may be needed all the same: it is referred to by another.
        for record in &level {
            for output in &record.outputs {
                if outputs.remove(&output.item.digest) {
                    makers.insert(record.item.digest);
                }
            }
        }
    }
    Ok(makers)
}

impl MissingInputs {
    fn build(&self, derivation: grange_model::Digest) -> BuildSpec {
        BuildSpec {
            id: BuildId(uuid::Uuid::now_v7()),
            derivation,
            // It takes the priority of the build that needs it, by propagation.
            priority: i32::MIN,
            tags: Tags::new(),
            requires: Tags::new(),
            limits: self.limits,
            again: false,
            inputs: true,
            cause: None,
            resources: Resources::new(),
        }
    }
}
