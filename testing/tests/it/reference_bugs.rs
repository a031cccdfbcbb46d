//! Bugs of this field, put back: the comparison with the model finds each that can be seen in the core, by what can be
//! seen of it; what the core says of itself (`Core::check_invariants`) is not asked here.
//! `cargo xtask sim --bugs` runs this.

use std::time::Instant;

use grange_coordinator_core::Bug;
use grange_testing::reference::{Comparison, Mismatch, Script, scripts};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Scripts that are tried at most.
const SCRIPTS: usize = 20_000;

fn run(script: &Script, bug: Bug) -> Result<(), Mismatch> {
    let mut comparison = Comparison::with(&script.sketch, |config| config.bug = Some(bug));
    script.ops.iter().try_for_each(|op| comparison.apply(op))
}

fn find(bug: Bug, meant: &[&str]) {
    let began = Instant::now();
    let mut runner = TestRunner::deterministic();
    for tried in 1..=SCRIPTS {
        let mut tree = scripts().new_tree(&mut runner).unwrap();
        let Err(mismatch) = run(&tree.current(), bug) else {
            continue;
        };
        let before = tree.current().ops.len();
        let mut least = (tree.current(), mismatch);
        let mut shrinks = tree.simplify();
        for _ in 0..400 {
            if !shrinks {
                break;
            }
            shrinks = match run(&tree.current(), bug) {
                Err(mismatch) => {
                    least = (tree.current(), mismatch);
                    tree.simplify()
                }
                Ok(()) => tree.complicate(),
            };
        }
        let (script, mismatch) = least;
        eprintln!(
            "{bug:?}: found by `{}` after {:.2} s, script {tried}; {before} operations, of which {} are enough",
            mismatch.what,
            began.elapsed().as_secs_f64(),
            script.ops.len()
        );
        assert!(meant.contains(&mismatch.what), "{bug:?}: {mismatch}");
        return;
    }
    panic!("{bug:?} was not found by {SCRIPTS} scripts");
}

#[test]
fn two_agents_are_given_one_build() {
    find(
        Bug::TwoAgents,
        &["where a build stands", "an assignment is allowed"],
    );
}

#[test]
fn a_late_report_of_a_finished_build_is_taken() {
    find(Bug::LateReport, &["what is answered"]);
}

#[test]
fn the_outputs_of_two_attempts_are_mixed() {
    find(Bug::MixedOutputs, &["what lies here", "what a build made"]);
}

#[test]
fn a_wake_up_is_lost() {
    find(
        Bug::LostWakeUp,
        &["where a build stands", "which builds are unfinished"],
    );
}

#[test]
fn a_refusal_comes_before_its_cause_is_durable() {
    find(Bug::EarlyRefusal, &["what is answered is durable"]);
}

#[test]
fn a_crash_makes_a_hook_skip_a_fact() {
    find(
        Bug::SkippedFact,
        &[
            "how far the hook is",
            "which builds are unfinished",
            "how a build ended",
            "what ended had to",
            "what has ended is durable",
        ],
    );
}

#[test]
fn a_derived_priority_is_not_lowered() {
    find(Bug::StickyPriority, &["a derived priority"]);
}
