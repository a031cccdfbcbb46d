//! A build's derived priority is the highest of its own, of all unfinished builds of its derivation and of
//! all that need it, at any moment at which no work is put off.
//!
//! Counter-example: somebody asks for LibreOffice at the highest priority and cancels it. If its two
//! thousand inputs kept the priority that they got from it, they would go before what people wait
//! for, for days.

use std::collections::BTreeMap;

use grange_coordinator_core::{Core, TimerReason};
use grange_model::Digest;

use super::invariant::{Invariant, Look, hold};

#[derive(Debug)]
pub(super) struct Priority;

impl Invariant for Priority {
    fn name(&self) -> &'static str {
        "priority"
    }

    fn full(&mut self, look: Look<'_>, core: &Core, settled: bool) -> Result<(), String> {
        if !settled || matches!(core.poll_timeout(), Some((_, TimerReason::Work))) {
            return Ok(());
        }
        let builds: Vec<_> = core.builds(None).collect();
        // What implicit builds were submitted with counts for nothing: they were not asked for.
        let mut own: Levels = BTreeMap::new();
        for build in &builds {
            let priority = if build.record.implicit {
                i32::MIN
            } else {
                build.record.spec.priority
            };
            raise(&mut own, build.record.spec.derivation, priority);
        }
        // Where several make one output, a derivation may wait for what it makes itself, and then does not
        // count as one that brings it. So there it may be either.
        let least = derived(look, own.clone(), false);
        let most = derived(look, own, true);
        builds.iter().try_for_each(|build| {
            let record = &build.record;
            let of = |levels: &Levels| {
                let level = levels.get(&record.spec.derivation).copied();
                level.unwrap_or(i32::MIN).max(record.spec.priority)
            };
            let right = of(&least)..=of(&most);
            hold(right.contains(&build.derived_priority), || {
                format!(
                    "{} has {}, and {right:?} is right",
                    record.derivation.name, build.derived_priority
                )
            })
        })
    }
}

type Levels = BTreeMap<Digest, i32>;

/// Whether that changed anything.
fn raise(levels: &mut Levels, what: Digest, to: i32) -> bool {
    let level = levels.entry(what).or_insert(i32::MIN);
    let raised = to > *level;
    *level = to.max(*level);
    raised
}

/// The highest of each derivation's own and of those that need it.
fn derived(look: Look<'_>, mut levels: Levels, shared: bool) -> Levels {
    let mut makers: BTreeMap<Digest, usize> = BTreeMap::new();
    for output in look.scenario.graph.iter().flat_map(|it| &it.outputs) {
        *makers.entry(output.item.digest).or_insert(0) += 1;
    }
    let mut needed: Levels = BTreeMap::new();
    loop {
        let mut changed = false;
        // Those that need others come behind them, mostly.
        for derivation in look.scenario.graph.iter().rev() {
            let digest = derivation.item.digest;
            if !levels.contains_key(&digest) {
                continue;
            }
            for output in derivation.outputs.iter().map(|output| output.item.digest) {
                // Who needs what is available needs nobody.
                if let Some(need) = needed.get(&output).copied()
                    && !look.store.has_item(output)
                    && (shared || makers[&output] == 1)
                {
                    changed |= raise(&mut levels, digest, need);
                }
            }
            for input in &derivation.inputs {
                changed |= raise(&mut needed, input.output, levels[&digest]);
            }
        }
        if !changed {
            return levels;
        }
    }
}
