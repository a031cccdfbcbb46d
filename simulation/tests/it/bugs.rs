//! Bugs of this field, put back: each is found, by the invariant that is meant for it, and made small.
//! `cargo xtask sim --bugs` runs this.

use std::time::Instant;

use grange_simulation::{Bug, Scenario, run, shrink};

/// Seeds that are tried at most: far less than a minute's.
const SEEDS: u64 = 2_000;

fn find(bug: Bug, meant: &[&str]) {
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let buggy = |seed| {
        let mut scenario = Scenario::draw(seed);
        scenario.config.bug = Some(bug);
        scenario
    };
    let found = (0..SEEDS).find_map(|seed| Some((seed, run(&buggy(seed), false).violation?)));
    let Some((seed, violation)) = found else {
        panic!("{bug:?} was not found by {SEEDS} seeds");
    };
    let seconds = began.elapsed().as_secs_f64();
    assert!(meant.contains(&violation.invariant), "{bug:?}: {violation}");
    let scenario = buggy(seed);
    let shrunk = shrink(&scenario, violation.invariant, 300);
    let small = scenario.without(&shrunk.cuts);
    let violation = run(&small, false).violation.expect("it failed just now");
    assert!(meant.contains(&violation.invariant), "{bug:?}: {violation}");
    let (parts, left) = (
        scenario.actions.len() + scenario.faults.len(),
        small.actions.len() + small.faults.len(),
    );
    assert!(
        left < parts,
        "{bug:?}: nothing of {parts} parts was left out"
    );
    eprintln!(
        "{bug:?}: found by `{}` after {seconds:.2} s, seed {seed}; {parts} actions and faults, of which {left} \
         are enough",
        violation.invariant
    );
}

#[test]
fn two_agents_are_given_one_build() {
    find(Bug::TwoAgents, &["one-agent"]);
}

#[test]
fn a_late_report_of_a_finished_build_is_taken() {
    find(Bug::LateReport, &["one-result", "ends"]);
}

#[test]
fn the_outputs_of_two_attempts_are_mixed() {
    find(Bug::MixedOutputs, &["one-set"]);
}

#[test]
fn a_wake_up_is_lost() {
    find(Bug::LostWakeUp, &["live"]);
}

#[test]
fn a_refusal_comes_before_its_cause_is_durable() {
    find(Bug::EarlyRefusal, &["acknowledged"]);
}

#[test]
fn a_crash_makes_a_hook_skip_a_fact() {
    find(Bug::SkippedFact, &["hooks"]);
}

#[test]
fn a_derived_priority_is_not_lowered() {
    find(Bug::StickyPriority, &["priority"]);
}

#[test]
fn an_upload_that_was_not_verified_is_named() {
    find(Bug::UnverifiedUpload, &["sealed"]);
}
