//! Clients ask for builds.

use std::time::Duration;

use grange_coordinator_core as core;
use grange_interfaces::message::{Answer, BuildRequest, Submission};
use grange_interfaces::{Fault, Refusal};
use grange_model::{BuildId, BuildSpec, Digest, Key, Limits};

use super::agent_calls::unexpected;
use super::dispatch::{Answered, CoordinatorEndpoint};
use crate::available;
use crate::convert::{digest, parse_path, store_refusal};
use crate::handle::refusal;
use crate::upstream;

/// How many builds one message may ask for.
const MAX_BUILDS: usize = 1_000;
/// Longer tags or more of them are no use to anybody.
const MAX_TAG: usize = 1_024;
const MAX_TAGS: usize = 64;
const MAX_RESOURCES: usize = 16;

impl CoordinatorEndpoint {
    /// Which of these are not here.
    pub(super) async fn lacking(&self, derivations: Vec<String>, items: Vec<String>) -> Answered {
        let derivations = self.absent(derivations, Key::Derivation).await?;
        // Whoever hears that an item is here does not send it: a prune that is under way leaves it.
        let paths = items.iter();
        let paths = paths.filter_map(|path| parse_path(&self.shared.config, path).ok());
        let reliance = self
            .shared
            .relied
            .rely(paths.map(|path| digest(&path)).collect());
        let reliance = reliance.await;
        let items = self.absent(items, Key::Item).await?;
        drop(reliance);
        Ok((Answer::Lacking { derivations, items }, None))
    }

    pub(super) async fn absent(
        &self,
        paths: Vec<String>,
        key: fn(Digest) -> Key,
    ) -> Result<Vec<String>, Refusal> {
        let parsed = paths
            .iter()
            .map(|path| parse_path(&self.shared.config, path));
        let keys = parsed
            .map(|path| path.map(|path| key(digest(&path))))
            .collect::<Result<Vec<_>, _>>()?;
        let found = available::get(&*self.shared.datastore, &keys).await;
        let absent = paths
            .into_iter()
            .zip(found.map_err(store_refusal)?)
            .filter(|(_, record)| record.is_none());
        Ok(absent.map(|(path, _)| path).collect())
    }

    /// Takes from upstream what it has of these; tells what is lacking then.
    pub(super) async fn obtain(&self, derivations: Vec<String>, items: Vec<String>) -> Answered {
        let paths = derivations.iter().chain(&items);
        let paths = paths.map(|path| parse_path(&self.shared.config, path));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        upstream::obtain(&self.shared, &self.handle, paths).await?;
        self.lacking(derivations, items).await
    }

    pub(super) async fn submit(&self, builds: Vec<BuildRequest>) -> Answered {
        if builds.len() > MAX_BUILDS {
            let message = format!("one message asks for at most {MAX_BUILDS} builds");
            return Err(Refusal::new(Fault::Caller, message));
        }
        let specs: Vec<_> = builds.into_iter().map(|build| self.spec(build)).collect();
        let good = specs.iter().filter_map(|spec| spec.as_ref().ok());
        let good: Vec<_> = good.cloned().collect();
        upstream::seek(&self.shared, &self.handle, &good).await?;
        let input = move |ticket| core::Input::Submit {
            ticket,
            builds: good,
        };
        let core::Reply::Submitted(results) = self.handle.request(input).await? else {
            return Err(unexpected());
        };
        let mut results = results.into_iter();
        let submissions = specs.into_iter().map(|spec| match spec {
            Err(refusal) => Submission::Refused(refusal),
            Ok(_) => match results.next() {
                Some(Ok(accepted)) => Submission::Accepted {
                    state: accepted.state,
                    warnings: accepted.warnings,
                },
                Some(Err(denied)) => Submission::Refused(refusal(denied)),
                None => Submission::Refused(unexpected()),
            },
        });
        Ok((Answer::Submitted(submissions.collect()), None))
    }

    fn spec(&self, request: BuildRequest) -> Result<BuildSpec, Refusal> {
        let wrong = |what: &str| Err(Refusal::new(Fault::Caller, what));
        let path = parse_path(&self.shared.config, &request.derivation)?;
        if !path.is_derivation() {
            return wrong("only derivations can be built: the name has to end in .drv");
        }
        for tags in [&request.tags, &request.requires] {
            let long =
                |(key, value): (&String, &String)| key.len() > MAX_TAG || value.len() > MAX_TAG;
            if tags.len() > MAX_TAGS || tags.iter().any(long) {
                return wrong("a build has at most 64 tags, of at most 1,024 bytes each");
            }
        }
        let long = request.resources.keys().any(|name| name.len() > MAX_TAG);
        if request.resources.len() > MAX_RESOURCES || long {
            return wrong("a build uses at most 16 resources, of names of at most 1,024 bytes");
        }
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let defaults = self.shared.config.default_limits;
        Ok(BuildSpec {
            id: request.id,
            derivation: digest(&path),
            // The lowest number stands for "nobody asked".
            priority: request.priority.max(i32::MIN + 1),
            tags: request.tags,
            requires: request.requires,
            resources: request.resources,
            limits: Limits {
                timeout_ms: request
                    .timeout_ms
                    .unwrap_or_else(|| millis(defaults.timeout)),
                max_silent_ms: request
                    .max_silent_ms
                    .unwrap_or_else(|| millis(defaults.max_silent)),
            },
            again: request.again,
            inputs: !request.no_inputs,
            cause: None,
        })
    }

    pub(super) async fn cancel(&self, builds: Vec<BuildId>) -> Answered {
        let ids = builds.clone();
        let input = move |ticket| core::Input::Cancel { ticket, builds };
        let core::Reply::Canceled(states) = self.handle.request(input).await? else {
            return Err(unexpected());
        };
        let mut answers = Vec::new();
        for (id, state) in ids.into_iter().zip(states) {
            answers.push(match state {
                Some(state) => Submission::Accepted {
                    state,
                    warnings: Vec::new(),
                },
                None => self.canceled_too_late(id).await?,
            });
        }
        Ok((Answer::Submitted(answers), None))
    }

    async fn canceled_too_late(&self, id: BuildId) -> Result<Submission, Refusal> {
        match self.finished(id).await {
            Ok(finished) => Ok(Submission::Accepted {
                state: finished.state,
                warnings: vec!["it had ended already".to_owned()],
            }),
            Err(refusal) if refusal.fault == Fault::NotFound => Ok(Submission::Refused(refusal)),
            Err(refusal) => Err(refusal),
        }
    }
}
