//! What submitters say of their builds.

use grange_model::{BuildId, BuildRecord, BuildSpec, Cause, Limits, Resources, Tags};

use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::Build;

/// All that a submitter says of a build but its name, its derivation and its priority. Most builds of a submission say the
/// same, so that it is kept once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ask {
    pub(crate) tags: Tags,
    pub(crate) requires: Tags,
    pub(crate) resources: Resources,
    pub(crate) limits: Limits,
    pub(crate) again: bool,
    pub(crate) inputs: bool,
    pub(crate) cause: Option<Cause>,
}

impl Ask {
    pub(crate) fn of(spec: BuildSpec) -> Self {
        Self {
            tags: spec.tags,
            requires: spec.requires,
            resources: spec.resources,
            limits: spec.limits,
            again: spec.again,
            inputs: spec.inputs,
            cause: spec.cause,
        }
    }
}

impl Core {
    /// What was asked for, in full.
    pub(crate) fn spec(&self, build: &Build) -> BuildSpec {
        let Ask {
            tags,
            requires,
            resources,
            limits,
            again,
            inputs,
            cause,
        } = &*build.ask;
        BuildSpec {
            id: build.id,
            derivation: self.derivation_of(build).item.digest,
            priority: build.priority,
            tags: tags.clone(),
            requires: requires.clone(),
            resources: resources.clone(),
            limits: *limits,
            again: *again,
            inputs: *inputs,
            cause: cause.clone(),
        }
    }

    /// An unfinished build as it is kept.
    pub(crate) fn record(&self, ix: Ix<Build>) -> BuildRecord {
        let build = &self.builds[ix];
        BuildRecord {
            slot: ix.0,
            spec: self.spec(build),
            derivation: self.derivation_of(build).item.clone(),
            implicit: build.implicit,
            rebuild: build.rebuild,
            submitted_at: build.submitted_at,
            setup_failures: build.setup_failures.clone(),
        }
    }

    pub(crate) fn id_of(&self, build: Ix<Build>) -> BuildId {
        self.builds[build].id
    }
}
