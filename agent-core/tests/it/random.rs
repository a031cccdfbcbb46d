//! Any inputs in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grange_agent_core::{Effect, End, ExchangeFailure, Input, Settings};
use grange_model::{AttemptId, Timestamp};
use proptest::prelude::*;

use crate::bench::{Bench, assignment, id};

#[derive(Clone, Debug)]
enum Op {
    Answer {
        stale: bool,
        assign: Vec<u32>,
        drop: Vec<u32>,
    },
    Fail {
        stale: bool,
        forbidden: bool,
    },
    Resumed(u32),
    Prepared(u32),
    Finished(u32),
    SetupFailed(u32),
    Uploaded(u32),
    Accepted(u32),
    Refused(u32),
    Lost(u32),
    Broken(u32, Option<u64>),
    Closed(u32),
    Pass(u64),
    SetBack(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let slot = || 0u32..6;
    let slots = || prop::collection::vec(0u32..6, 0..3);
    prop_oneof![
        3 => (prop::bool::weighted(0.1), slots(), slots())
            .prop_map(|(stale, assign, drop)| Op::Answer { stale, assign, drop }),
        1 => (prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(stale, forbidden)| Op::Fail { stale, forbidden }),
        1 => slot().prop_map(Op::Resumed),
        4 => slot().prop_map(Op::Prepared),
        4 => slot().prop_map(Op::Finished),
        1 => slot().prop_map(Op::SetupFailed),
        3 => slot().prop_map(Op::Uploaded),
        3 => slot().prop_map(Op::Accepted),
        1 => slot().prop_map(Op::Refused),
        1 => slot().prop_map(Op::Lost),
        2 => (slot(), any::<Option<u64>>()).prop_map(|(slot, wait)| Op::Broken(slot, wait)),
        4 => slot().prop_map(Op::Closed),
        4 => (0u64..100_000).prop_map(Op::Pass),
        1 => (0u64..10_000_000).prop_map(Op::SetBack),
    ]
}

/// What an embedder would know, from effects and its own answers alone.
#[derive(Debug, Default)]
struct Shell {
    /// What it was told to do for each attempt and has not answered.
    busy: BTreeMap<AttemptId, Effect>,
    building: BTreeSet<AttemptId>,
    closing: BTreeSet<AttemptId>,
    closed: BTreeSet<AttemptId>,
    begun: BTreeSet<AttemptId>,
    trace: Vec<String>,
}

impl Shell {
    fn perform(&mut self, bench: &mut Bench, parallel: usize) {
        let (effects, exchange) = bench.effects();
        self.trace.push(format!("{effects:?} {exchange:?}"));
        if let Some(exchange) = exchange {
            let mut names: Vec<_> = exchange.held.iter().map(|(attempt, _)| *attempt).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), exchange.held.len(), "each is named once");
        }
        for effect in effects {
            let attempt = match &effect {
                Effect::Prepare(assignment) => assignment.attempt,
                Effect::Build(attempt) | Effect::Upload(attempt) | Effect::Report(attempt) => {
                    *attempt
                }
                Effect::Close { attempt, .. } => {
                    assert!(self.closing.insert(*attempt), "{attempt} is closed twice");
                    self.busy.remove(attempt);
                    continue;
                }
                Effect::Exchange(_) | Effect::End(_) => panic!("{effect:?}"),
            };
            assert!(
                !self.closing.contains(&attempt),
                "{attempt} is being closed"
            );
            if matches!(effect, Effect::Build(_)) {
                self.building.insert(attempt);
            }
            let before = self.busy.insert(attempt, effect);
            assert_eq!(before, None, "one thing at a time for {attempt}");
        }
        assert!(self.building.len() <= parallel, "{:?} build", self.building);
        assert_eq!(self.building.len(), bench.core.building());
    }

    /// Keeps the books on an input that the core is about to get.
    fn answer(&mut self, input: &Input) {
        let done = |busy: &mut BTreeMap<_, _>, attempt: &AttemptId, kind: fn(&Effect) -> bool| {
            let fits = busy.get(attempt).is_some_and(kind);
            if fits {
                busy.remove(attempt);
            }
            fits
        };
        match input {
            Input::Prepared(attempt) => {
                done(&mut self.busy, attempt, |effect| {
                    matches!(effect, Effect::Prepare(_))
                });
            }
            Input::Finished(attempt) => {
                let fits = |effect: &Effect| matches!(effect, Effect::Build(_));
                let fits = done(&mut self.busy, attempt, fits);
                self.building
                    .retain(|building| !(fits && building == attempt));
            }
            Input::SetupFailed(attempt) => {
                let fits = |effect: &Effect| !matches!(effect, Effect::Report(_));
                let fits = done(&mut self.busy, attempt, fits);
                self.building
                    .retain(|building| !(fits && building == attempt));
            }
            Input::Uploaded(attempt) => {
                done(&mut self.busy, attempt, |effect| {
                    matches!(effect, Effect::Upload(_))
                });
            }
            Input::Accepted(attempt) => {
                done(&mut self.busy, attempt, |effect| {
                    matches!(effect, Effect::Report(_))
                });
            }
            Input::Broken { attempt, .. } if done(&mut self.busy, attempt, |_| true) => {
                self.building.remove(attempt);
            }
            Input::Closed(attempt) if self.closing.remove(attempt) => {
                self.building.remove(attempt);
                self.closed.insert(*attempt);
            }
            _ => {}
        }
    }

    fn tell(&mut self, bench: &mut Bench, input: Input) {
        self.answer(&input);
        bench.tell(input);
        self.begun
            .extend(bench.core.held().map(|(attempt, _)| attempt));
    }
}

fn input(bench: &Bench, op: Op) -> Option<Input> {
    let revision = |stale: bool| bench.revision() - u64::from(stale);
    Some(match op {
        Op::Answer {
            stale,
            assign,
            drop,
        } => Input::Answered {
            revision: revision(stale),
            assign: assign.into_iter().map(assignment).collect(),
            drop: drop.into_iter().map(id).collect(),
            lease: Duration::from_secs(60),
        },
        Op::Fail { stale, forbidden } => Input::ExchangeFailed {
            revision: revision(stale),
            failure: if forbidden {
                ExchangeFailure::Forbidden
            } else {
                ExchangeFailure::Unreachable { retry_after: None }
            },
        },
        Op::Resumed(slot) => Input::Resumed(assignment(slot)),
        Op::Prepared(slot) => Input::Prepared(id(slot)),
        Op::Finished(slot) => Input::Finished(id(slot)),
        Op::SetupFailed(slot) => Input::SetupFailed(id(slot)),
        Op::Uploaded(slot) => Input::Uploaded(id(slot)),
        Op::Accepted(slot) => Input::Accepted(id(slot)),
        Op::Refused(slot) => Input::Refused(id(slot)),
        Op::Lost(slot) => Input::Lost(id(slot)),
        Op::Broken(slot, wait) => Input::Broken {
            attempt: id(slot),
            retry_after: wait.map(Duration::from_millis),
        },
        Op::Closed(slot) => Input::Closed(id(slot)),
        Op::Pass(_) | Op::SetBack(_) => return None,
    })
}

/// Answers everything well until the core has ended.
fn settle(bench: &mut Bench, shell: &mut Shell, parallel: usize) {
    bench.tell(Input::Drain);
    for _ in 0..10_000 {
        let mut effects = Vec::new();
        while let Some(effect) = bench.core.poll_effect() {
            effects.push(effect);
        }
        if effects.is_empty() && shell.busy.is_empty() && shell.closing.is_empty() {
            bench.wait();
            continue;
        }
        for effect in effects {
            match effect {
                Effect::End(end) => {
                    assert_eq!(end, End::Drained);
                    return;
                }
                Effect::Exchange(exchange) => bench.tell(Input::Answered {
                    revision: exchange.revision,
                    assign: vec![],
                    drop: vec![],
                    lease: Duration::ZERO,
                }),
                Effect::Close { attempt, .. } => {
                    shell.busy.remove(&attempt);
                    assert!(shell.closing.insert(attempt), "{attempt} is closed twice");
                }
                Effect::Prepare(ref assignment) => {
                    shell.busy.insert(assignment.attempt, effect);
                }
                Effect::Build(attempt) => {
                    shell.building.insert(attempt);
                    shell.busy.insert(attempt, effect);
                }
                Effect::Upload(attempt) | Effect::Report(attempt) => {
                    shell.busy.insert(attempt, effect);
                }
            }
        }
        assert!(shell.building.len() <= parallel);
        let answer = shell
            .busy
            .iter()
            .next()
            .map(|(attempt, effect)| match effect {
                Effect::Prepare(_) => Input::Prepared(*attempt),
                Effect::Build(_) => Input::Finished(*attempt),
                Effect::Upload(_) => Input::Uploaded(*attempt),
                _ => Input::Accepted(*attempt),
            });
        let answer =
            answer.or_else(|| shell.closing.first().map(|attempt| Input::Closed(*attempt)));
        if let Some(input) = answer {
            shell.tell(bench, input);
        }
    }
    panic!("it does not come to an end");
}

fn run(ops: Vec<Op>, parallel: u32, ahead: u32, uploads: u32) -> Shell {
    let settings = Settings {
        parallel,
        ahead,
        uploads,
        results: 3,
        seed: 1,
        ..Settings::default()
    };
    let limit = parallel as usize;
    let mut bench = Bench::new(settings);
    let mut shell = Shell::default();
    shell.perform(&mut bench, limit);
    for op in ops {
        match op {
            Op::Pass(millis) => bench.pass(millis),
            Op::SetBack(millis) => {
                bench.now = Timestamp(bench.now.0.saturating_sub(millis));
                bench.core.handle_timeout(bench.now);
            }
            op => {
                let input = input(&bench, op).expect("the others are inputs");
                shell.tell(&mut bench, input);
            }
        }
        shell.perform(&mut bench, limit);
        bench.core.handle_timeout(bench.now);
        shell.perform(&mut bench, limit);
        if let Some(at) = bench.core.poll_timeout() {
            assert!(at > bench.now, "what was due is done");
        }
    }
    settle(&mut bench, &mut shell, limit);
    shell
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_attempt_is_closed_once_and_no_more_build_than_may(
        ops in prop::collection::vec(op(), 0..120),
        parallel in 1u32..4,
        ahead in 0u32..3,
        uploads in 1u32..3,
    ) {
        let shell = run(ops.clone(), parallel, ahead, uploads);
        prop_assert!(shell.closed == shell.begun);
        let again = run(ops, parallel, ahead, uploads);
        prop_assert_eq!(shell.trace, again.trace);
    }
}
