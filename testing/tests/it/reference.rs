//! The core agrees with the model that is as plain as possible.

use grange_testing::reference::{Comparison, Machine, Op, Sketch, scripts};
use proptest::prelude::*;
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

/// `CASES` in the environment asks for another number.
fn cases(usual: u32) -> u32 {
    let chosen = std::env::var("CASES").ok();
    chosen.map_or(usual, |it| it.parse().unwrap())
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: cases(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Step by step, so that what fails is shrunk step by step.
    #[test]
    fn the_core_agrees_step_by_step(sequential 1..60 => Farm);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(1_500),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_core_agrees(script in scripts()) {
        let agreed = Comparison::run(&script);
        prop_assert!(agreed.is_ok(), "{}", agreed.unwrap_err());
    }
}
