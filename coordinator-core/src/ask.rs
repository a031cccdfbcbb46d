//! What submitters say of their builds.

use std::hash::{Hash as _, Hasher};

use grange_model::{BuildId, BuildRecord, BuildSpec, Cause, Digest, Item, Limits, Resources, Tags};

use crate::machine::Core;
use crate::shared::Common;
use crate::slab::Ix;
use crate::tables::Build;

/// All that a submitter says of a build but its name, its derivation and its priority. Most builds of a submission say the
/// same, so that it is kept once.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) tags: Tags,
    pub(crate) requires: Tags,
    pub(crate) resources: Resources,
    pub(crate) limits: Limits,
    pub(crate) again: bool,
    pub(crate) inputs: bool,
    pub(crate) cause: Option<Cause>,
}

impl Common for Ask {
    type Source = BuildSpec;

    fn of(spec: &BuildSpec) -> Self {
        Self {
            tags: spec.tags.clone(),
            requires: spec.requires.clone(),
            resources: spec.resources.clone(),
            limits: spec.limits,
            again: spec.again,
            inputs: spec.inputs,
            cause: spec.cause.clone(),
        }
    }

    fn is_of(&self, spec: &BuildSpec) -> bool {
        self.tags == spec.tags
            && self.requires == spec.requires
            && self.resources == spec.resources
            && self.limits == spec.limits
            && (self.again, self.inputs) == (spec.again, spec.inputs)
            && self.cause == spec.cause
    }

    fn hash_of(spec: &BuildSpec, state: &mut impl Hasher) {
        hash(&spec.tags, &spec.requires, spec.limits, state);
        spec.resources.hash(state);
    }

    fn hash(&self, state: &mut impl Hasher) {
        hash(&self.tags, &self.requires, self.limits, state);
        self.resources.hash(state);
    }
}

/// Hashes what asks differ in; in the rest few do.
fn hash(tags: &Tags, requires: &Tags, limits: Limits, state: &mut impl Hasher) {
    tags.hash(state);
    requires.hash(state);
    state.write_u64(limits.timeout_ms);
    state.write_u64(limits.max_silent_ms);
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
            setup_failures: self.setup_failures().to_vec(),
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
