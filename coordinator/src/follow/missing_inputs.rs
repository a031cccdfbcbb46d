//! The hook that most farms want: what an agent misses is built.

use async_trait::async_trait;
use grange_interfaces::{Delivery, History, Hook, HookError, Request};
use grange_model::{BuildId, BuildSpec, Fact, InputRef, Key, Limits, Record, SetupProblem, Tags};

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
        let retry = |error: grange_interfaces::StoreError| HookError::Retry(error.to_string());
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
        let gone: Vec<_> = gone.map(|(output, _)| *output).collect();
        let makes = |input: &&InputRef| gone.contains(&input.output);
        let mut derivations: Vec<_> = record
            .inputs
            .iter()
            .filter(makes)
            .map(|input| input.derivation)
            .collect();
        derivations.dedup();
        Ok(derivations
            .into_iter()
            .map(|derivation| Request::Build(self.build(derivation)))
            .collect())
    }
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
        }
    }
}
