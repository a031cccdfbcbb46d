//! Which agents could take a build, and what its submitter is told of that.

use std::borrow::Cow;

use grange_model::{BuildSpec, Digest, Resources, Tags};

use crate::demand::{Demand, positive};
use crate::io::{Denied, DeniedWhy};
use crate::machine::Core;
use crate::tables::Agent;

/// The key under which an agent offers a `requiredSystemFeatures` value; its value is `yes`.
const FEATURE: &str = "feature:";

impl Core {
    pub(crate) fn refuse_class(
        &self,
        system: &str,
        features: &[String],
        spec: &BuildSpec,
    ) -> Result<(), Denied> {
        let room = self.classes.table.len() < self.config.max_classes;
        let requires = with_features(&spec.requires, features);
        if room
            || self
                .classes
                .is_known(system, &requires, &self.demand(&spec.resources))
        {
            return Ok(());
        }
        Err(Denied {
            why: DeniedWhy::TooMuch,
            message: format!(
                "unfinished builds have {} different combinations of system, requirements and resources, and there may be no more",
                self.config.max_classes
            ),
        })
    }

    pub(crate) fn refuse_crowd(&self, derivation: Digest) -> Result<(), Denied> {
        let most = self.config.max_builds_per_derivation;
        let row = self.find_derivation(derivation);
        let tasks = row.map(|row| self.derivations[row].tasks.iter());
        let builds = tasks.into_iter().flatten();
        let builds: usize = builds.map(|task| self.tasks[*task].builds.len()).sum();
        if builds < most {
            return Ok(());
        }
        Err(Denied {
            why: DeniedWhy::TooMuch,
            message: format!(
                "{most} builds of this derivation are unfinished, and there may be no more: wait until they have ended, or cancel some"
            ),
        })
    }

    /// What a submitter should know about who can take the build.
    pub(crate) fn warnings(
        &self,
        system: &str,
        features: &[String],
        requires: &Tags,
        resources: &Resources,
    ) -> Vec<String> {
        let requires = with_features(requires, features);
        let demand = self.demand(resources);
        let present = || {
            self.agents
                .iter()
                .map(|(_, agent)| agent)
                .filter(|agent| agent.is_present())
        };
        if present().next().is_none() {
            return vec!["no agent is present".to_owned()];
        }
        let offers_system = |agent: &Agent| agent.capacity.systems.iter().any(|one| one == system);
        if !present().any(offers_system) {
            return vec![format!("no agent that is present builds for {system}")];
        }
        let takes = |agent: &&Agent| agent.takes(system, &requires);
        if present().any(|agent| takes(&agent) && agent.could_afford(&demand)) {
            return Vec::new();
        }
        if present().any(|agent| takes(&agent)) {
            let most = |name: &str| {
                let takers = present().filter(takes);
                takers.filter_map(|agent| agent.total(name)).max()
            };
            let short = demand.asked.iter().filter_map(|(name, amount)| {
                let most = most(name).filter(|most| most < amount)?;
                Some(format!("{name}={amount} (the most is {most})"))
            });
            let short: Vec<_> = short.collect();
            return vec![if short.is_empty() {
                "no agent that is present has all of the resources at once".to_owned()
            } else {
                format!("no agent that is present offers {}", short.join(" and "))
            }];
        }
        let missing = requires.iter().filter(|(key, value)| {
            !present()
                .filter(|agent| offers_system(agent))
                .any(|agent| agent.offer(key) == Some(*value))
        });
        let missing: Vec<_> = missing
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        if missing.is_empty() {
            vec![
                "no agent that is present offers all of what is required, or lets this build in"
                    .to_owned(),
            ]
        } else {
            vec![format!(
                "no agent that is present offers {}",
                missing.join(" and ")
            )]
        }
    }
}

impl Core {
    /// What builds use up of which this was asked for.
    pub(crate) fn demand(&self, resources: &Resources) -> Demand {
        Demand {
            asked: positive(resources),
            predicted: Resources::new(),
        }
    }
}

/// What a build requires beside what its submitter says: its derivation's features.
pub(crate) fn with_features<'a>(requires: &'a Tags, features: &[String]) -> Cow<'a, Tags> {
    if features.is_empty() {
        return Cow::Borrowed(requires);
    }
    let features = features
        .iter()
        .map(|feature| (format!("{FEATURE}{feature}"), "yes".to_owned()));
    Cow::Owned(requires.clone().into_iter().chain(features).collect())
}
