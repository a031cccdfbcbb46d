//! Runs drawn by chance, for `proptest`.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::op::{Op, Outcome, Script, Want};
use super::sketch::{DerivationSketch, Sketch};

/// A derivation and what it needs.
pub fn derivations() -> impl Strategy<Value = DerivationSketch> {
    let inputs = prop::collection::vec((any::<u8>(), 0..3_u8), 0..4);
    (0..3_u8, any::<u8>(), 0..4_u8, inputs).prop_map(|(outputs, fixed, kind, inputs)| {
        DerivationSketch {
            outputs,
            fixed,
            kind,
            inputs,
        }
    })
}

/// A farm of up to 14 derivations.
pub fn sketches() -> impl Strategy<Value = Sketch> {
    let derivations = prop::collection::vec(derivations(), 1..14);
    (derivations, prop::bool::weighted(0.3)).prop_map(|(derivations, small_slices)| Sketch {
        derivations,
        small_slices,
    })
}

fn wants() -> impl Strategy<Value = Want> {
    let flags = (prop::bool::weighted(0.15), prop::bool::weighted(0.85));
    (any::<u8>(), 0..7_u8, 0..6_u8, flags, any::<u8>()).prop_map(
        |(derivation, priority, requires, (again, inputs), name)| Want {
            derivation,
            priority,
            requires,
            again,
            inputs,
            name,
        },
    )
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        5 => Just(Outcome::Success),
        2 => Just(Outcome::Failure),
        2 => Just(Outcome::DiskFull),
        1 => Just(Outcome::MissingInput),
        1 => Just(Outcome::WrongOutputs),
    ]
}

fn submissions() -> impl Strategy<Value = Op> {
    prop::collection::vec(wants(), 1..4).prop_map(|builds| Op::Submit { builds })
}

fn reports() -> impl Strategy<Value = Op> {
    // Most are of what was given last.
    let attempt = prop_oneof![4 => 0..4_u8, 1 => any::<u8>()];
    (attempt, outcomes(), prop::bool::weighted(0.05)).prop_map(|(attempt, outcome, by_another)| {
        Op::Report {
            attempt,
            outcome,
            by_another,
        }
    })
}

/// Anything that may happen.
pub fn ops() -> impl Strategy<Value = Op> {
    let agent = 0..4_u8;
    let cut = prop_oneof![
        submissions(),
        reports(),
        Just(Op::Follow),
        any::<u8>().prop_map(|build| Op::Cancel { build }),
    ];
    prop_oneof![
        12 => submissions(),
        2 => (wants(), any::<u8>())
            .prop_map(|(first, derivation)| Op::Collide { first, derivation }),
        3 => any::<u8>().prop_map(|build| Op::Cancel { build }),
        2 => any::<u8>().prop_map(|output| Op::Upload { output }),
        3 => any::<u8>().prop_map(|output| Op::Upstream { output }),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(output, returns)| Op::Gone { output, returns }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(output, two)| Op::Prune { output, two }),
        4 => agent.clone().prop_map(|agent| Op::Agent { agent }),
        1 => (agent.clone(), any::<bool>()).prop_map(|(agent, paused)| Op::Pause { agent, paused }),
        1 => (agent.clone(), 0..4_u8).prop_map(|(agent, offers)| Op::Tags { agent, offers }),
        1 => agent.clone().prop_map(|agent| Op::Delete { agent }),
        14 => (agent, 0..16_u8, any::<u8>(), prop::bool::weighted(0.7)).prop_map(
            |(agent, says, offers, waits)| Op::Exchange {
                agent,
                says,
                offers,
                waits,
            }
        ),
        14 => reports(),
        3 => (0..120_u8).prop_map(|seconds| Op::Pass { seconds }),
        1 => Just(Op::Restart),
        5 => Just(Op::Follow),
        2 => (cut, 0..3_u8).prop_map(|(op, commits)| Op::Cut {
            op: Box::new(op),
            commits
        }),
    ]
}

/// A farm and up to 80 things that happen to it.
pub fn scripts() -> impl Strategy<Value = Script> {
    let ops = prop::collection::vec(ops(), 1..80);
    (sketches(), ops).prop_map(|(sketch, ops)| Script { sketch, ops })
}

/// The same as a state machine. Each operation means something in each state, so that its state is the farm as it was drawn: what
/// happens to it, [`Comparison`](super::Comparison) knows.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl ReferenceStateMachine for Machine {
    type State = Sketch;
    type Transition = Op;

    fn init_state() -> BoxedStrategy<Sketch> {
        sketches().boxed()
    }

    fn transitions(_: &Sketch) -> BoxedStrategy<Op> {
        ops().boxed()
    }

    fn apply(state: Sketch, _: &Op) -> Sketch {
        state
    }
}
