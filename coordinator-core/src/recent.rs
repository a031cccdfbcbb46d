//! What ended a moment ago.
//!
//! A submission reads the history, then is applied. What ends between the two is neither in what it
//! read nor in memory any more: it would be built twice. So everything that ends is remembered
//! until no submission is under way that may have read before it was written.

use std::collections::VecDeque;

use grange_model::{BuildId, BuildState, Digest, FailureRecord, Seq};

use crate::tables::{Index, Lost, Presence};

/// What ended, and in which commit.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// Outputs that have become available, or are not any more.
    available: Index<Digest, (Seq, Presence)>,
    failures: Index<Digest, (Seq, Option<Box<FailureRecord>>)>,
    builds: Index<BuildId, (Seq, Digest, BuildState)>,
    lost: Index<Digest, (Seq, Box<Lost>)>,
    order: VecDeque<(Seq, Ended)>,
}

#[derive(Clone, Copy, Debug)]
enum Ended {
    Output(Digest),
    Derivation(Digest),
    Build(BuildId),
    Lost(Digest),
}

impl Recent {
    /// The output has become available, or is not any more.
    pub(crate) fn output(&mut self, seq: Seq, output: Digest, presence: Presence) {
        self.available.insert(output, (seq, presence));
        self.order.push_back((seq, Ended::Output(output)));
    }

    pub(crate) fn failure(&mut self, seq: Seq, derivation: Digest, failure: Option<FailureRecord>) {
        self.failures
            .insert(derivation, (seq, failure.map(Box::new)));
        self.order.push_back((seq, Ended::Derivation(derivation)));
    }

    pub(crate) fn build_ended(
        &mut self,
        seq: Seq,
        build: BuildId,
        derivation: Digest,
        state: BuildState,
    ) {
        self.builds.insert(build, (seq, derivation, state));
        self.order.push_back((seq, Ended::Build(build)));
    }

    pub(crate) fn output_lost(&mut self, seq: Seq, output: Digest, lost: Lost) {
        self.lost.insert(output, (seq, Box::new(lost)));
        self.order.push_back((seq, Ended::Lost(output)));
    }

    /// Somebody tries to bring the output after all.
    pub(crate) fn not_lost(&mut self, output: Digest) {
        self.lost.remove(&output);
    }

    /// Why the output will not come, if it was lost a moment ago.
    pub(crate) fn lost(&self, output: Digest) -> Option<&Lost> {
        self.lost.get(&output).map(|(_, lost)| &**lost)
    }

    /// The newest word on whether the output is available, if there was a recent one.
    pub(crate) fn presence(&self, output: Digest) -> Option<Presence> {
        self.available.get(&output).map(|(_, presence)| *presence)
    }

    /// The newest word on a derivation's failure, if there was a recent one.
    pub(crate) fn failure_of(&self, derivation: Digest) -> Option<Option<&FailureRecord>> {
        self.failures
            .get(&derivation)
            .map(|(_, failure)| failure.as_deref())
    }

    pub(crate) fn build(&self, build: BuildId) -> Option<(Digest, BuildState)> {
        self.builds
            .get(&build)
            .map(|(_, derivation, state)| (*derivation, *state))
    }

    /// Forgets what was written up to `seq`: whoever still reads has seen it.
    pub(crate) fn forget(&mut self, seq: Seq) {
        while let Some((at, ended)) = self.order.front().copied() {
            if at > seq {
                return;
            }
            self.order.pop_front();
            match ended {
                Ended::Output(output) => {
                    if self
                        .available
                        .get(&output)
                        .is_some_and(|(seq, _)| *seq == at)
                    {
                        self.available.remove(&output);
                    }
                }
                Ended::Derivation(derivation) => {
                    if self
                        .failures
                        .get(&derivation)
                        .is_some_and(|(seq, _)| *seq == at)
                    {
                        self.failures.remove(&derivation);
                    }
                }
                Ended::Build(build) => {
                    if self.builds.get(&build).is_some_and(|(seq, ..)| *seq == at) {
                        self.builds.remove(&build);
                    }
                }
                Ended::Lost(output) => {
                    if self.lost.get(&output).is_some_and(|(seq, _)| *seq == at) {
                        self.lost.remove(&output);
                    }
                }
            }
        }
    }
}
