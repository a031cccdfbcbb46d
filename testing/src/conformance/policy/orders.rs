//! What an order says.

use std::time::Duration;

use grange_coordinator_core::{Candidate, Policy};
use grange_model::{Item, Tags, Timestamp};

use crate::conformance::PolicyBench;
use crate::sample;

/// A candidate's parts, owned.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    priority: i32,
    submitted_at: Timestamp,
    derivation: Item,
    system: String,
    tags: Tags,
    duration: Duration,
    remaining: Duration,
}

impl Owned {
    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate {
            priority: self.priority,
            submitted_at: self.submitted_at,
            derivation: &self.derivation,
            system: &self.system,
            tags: &self.tags,
            duration: self.duration,
            remaining: self.remaining,
        }
    }
}

/// All kinds of candidates, extremes among them.
pub(super) fn candidates() -> Vec<Owned> {
    let mut all = Vec::new();
    for priority in [i32::MIN, -1, 0, 7, i32::MAX] {
        for submitted_at in [0, 1, 1_767_225_600_000, i64::MAX as u64, u64::MAX] {
            for (number, name) in (0..).zip(["", "hello-2.12.drv", "linux-libre-6.1.drv"]) {
                let tags = match number {
                    0 => Tags::new(),
                    1 => Tags::from([("rush".to_owned(), "yes".to_owned())]),
                    _ => (0..200)
                        .map(|at| (format!("k{at}"), format!("v{at}")))
                        .collect(),
                };
                // In whole milliseconds of 32 bits: no longer does it get.
                let most = Duration::from_millis(u32::MAX.into());
                let remaining = [Duration::ZERO, Duration::from_mins(90), most][number as usize];
                all.push(Owned {
                    priority,
                    submitted_at: Timestamp(submitted_at),
                    derivation: Item {
                        digest: sample::digest(number),
                        name: name.to_owned(),
                    },
                    system: ["", "x86_64-linux", "builtin"][number as usize].to_owned(),
                    tags,
                    duration: remaining / 2,
                    remaining,
                });
            }
        }
    }
    all
}

fn keys(policy: &Policy, of: &[Owned]) -> Vec<Vec<i64>> {
    let keys = |owned: &Owned| {
        let orders = policy.order.iter();
        orders.map(|order| order.key(&owned.candidate())).collect()
    };
    of.iter().map(keys).collect()
}

/// "The same candidate has the same key, whenever and however often it is asked for."
pub async fn keys_follow_from_the_candidate(bench: &impl PolicyBench) {
    let policy = bench.policy();
    let candidates = candidates();
    let first = keys(&policy, &candidates);
    assert_eq!(first, keys(&policy, &candidates), "asked a second time");
    let backwards: Vec<_> = candidates.iter().rev().cloned().collect();
    let mut second = keys(&policy, &backwards);
    second.reverse();
    assert_eq!(first, second, "asked in another order, of copies");
    assert_eq!(
        first,
        keys(&bench.policy(), &candidates),
        "of a policy made anew"
    );
    let elsewhere = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(3));
            keys(&policy, &candidates)
        });
        asked.join()
    });
    let elsewhere = elsewhere.expect("any candidate has a key");
    assert_eq!(first, elsewhere, "asked later, by another thread");
}

/// "Any candidate has a key: extremes must not panic."
pub async fn any_candidate_has_a_key(bench: &impl PolicyBench) {
    let policy = bench.policy();
    for owned in candidates() {
        for order in &policy.order {
            order.key(&owned.candidate());
        }
    }
}

/// "A key that falls with the time of submission lets the newest go first for ever: it must not."
pub async fn later_ones_do_not_overtake_their_like(bench: &impl PolicyBench) {
    let policy = bench.policy();
    for early in candidates() {
        for later in [1, 1_000, 86_400_000, u64::MAX] {
            let mut late = early.clone();
            late.submitted_at.0 = early.submitted_at.0.saturating_add(later);
            let (first, second) = (early.candidate(), late.candidate());
            for order in &policy.order {
                let (first, second) = (order.key(&first), order.key(&second));
                assert!(first <= second, "{order:?}: {late:?} goes before {early:?}");
            }
        }
    }
}
