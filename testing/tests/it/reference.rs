//! The core agrees with the model that is as plain as possible.

use grange_testing::reference::{Comparison, Machine, Op, Sketch, scripts};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use proptest_state_machine::{StateMachineTest, prop_state_machine};

/// The real core, beside the model.
struct Farm;

impl StateMachineTest for Farm {
    type SystemUnderTest = Comparison;
    type Reference = Machine;

    fn init_test(sketch: &Sketch) -> Comparison {
        Comparison::new(sketch)
    }

    fn apply(mut comparison: Comparison, _: &Sketch, op: Op) -> Comparison {
        let agreed = comparison.apply(&op);
        agreed.unwrap();
        comparison
    }
}

/// Always the same cases, so that a tree that has passed passes; `CASES` in the environment asks for as many
/// others, by chance.
fn config(usual: u32) -> ProptestConfig {
    let chosen = std::env::var("CASES").ok();
    let seed = chosen
        .as_ref()
        .map_or(RngSeed::Fixed(1), |_| RngSeed::Random);
    ProptestConfig {
        cases: chosen.map_or(usual, |it| it.parse().unwrap()),
        rng_seed: seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

prop_state_machine! {
    #![proptest_config(config(300))]

    /// Step by step, so that what fails is shrunk step by step.
    #[test]
    fn the_core_agrees_step_by_step(sequential 1..60 => Farm);
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn the_core_agrees(script in scripts()) {
        let agreed = Comparison::run(&script);
        prop_assert!(agreed.is_ok(), "{}", agreed.unwrap_err());
    }
}
