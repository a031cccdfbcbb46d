//! What submitters say of their builds.

use grange_model::{BuildId, BuildRecord, BuildSpec, Cause, Digest, Item, Limits, Resources, Tags};

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

impl Build {
    /// What was asked for, in full.
    pub(crate) fn spec(&self, derivation: Digest) -> BuildSpec {
        let Ask {
            tags,
            requires,
            resources,
            limits,
            again,
            inputs,
            cause,
        } = &*self.ask;
        BuildSpec {
            id: self.id,
            derivation,
            priority: self.priority,
            tags: tags.clone(),
            requires: requires.clone(),
            resources: resources.clone(),
            limits: *limits,
            again: *again,
            inputs: *inputs,
            cause: cause.clone(),
        }
    }

    /// As it is kept, by who knows its row and its derivation.
    pub(crate) fn record(&self, ix: Ix<Self>, derivation: &Item) -> BuildRecord {
        BuildRecord {
            slot: ix.0,
            spec: self.spec(derivation.digest),
            derivation: derivation.clone(),
            implicit: self.implicit,
            rebuild: self.rebuild,
            submitted_at: self.submitted_at,
            setup_failures: self.setup_failures.clone(),
        }
    }
}

impl Core {
    /// An unfinished build as it is kept.
    pub(crate) fn record(&self, ix: Ix<Build>) -> BuildRecord {
        let build = &self.builds[ix];
        build.record(ix, &self.derivation_of(build).item)
    }

    pub(crate) fn id_of(&self, build: Ix<Build>) -> BuildId {
        self.builds[build].id
    }
}
