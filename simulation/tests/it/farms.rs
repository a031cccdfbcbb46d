//! Farms that do well. `cargo xtask sim` runs many more.

use grange_simulation::{Counts, Cuts, Outcome, Scenario, run};

fn well(seed: u64) -> Outcome {
    let outcome = run(&Scenario::draw(seed), false);
    if let Some(violation) = &outcome.violation {
        panic!("seed {seed}: {violation}; cargo xtask sim --seed {seed}");
    }
    outcome
}

#[test]
fn farms_heal() {
    let mut counts = Counts::default();
    for seed in 0..30 {
        counts.add(&well(seed).counts);
    }
    // What is to be survived did happen.
    assert!(counts.builds > 1_000, "{counts:?}");
    assert!(
        counts.faults > 50 && counts.starts > 40 && counts.lies > 0,
        "{counts:?}"
    );
}

#[test]
fn one_seed_is_one_run() {
    let mut traces = Vec::new();
    for seed in 100..106 {
        let outcome = well(seed);
        assert_eq!(outcome.trace, well(seed).trace, "seed {seed}");
        assert_eq!(outcome.counts, well(seed).counts, "seed {seed}");
        traces.push(outcome.trace);
    }
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 6, "two seeds are one run");
}

#[test]
fn what_is_cut_out_does_not_happen() {
    let scenario = Scenario::draw(3);
    let cuts: Cuts = "a0-1000000,f0-1000000,w,s".parse().unwrap();
    let outcome = run(&scenario.without(&cuts), true);
    assert_eq!(outcome.violation, None);
    assert_eq!((outcome.counts.faults, outcome.counts.starts), (0, 1));
    // All that is asked for in the end is all that there is.
    assert!(
        outcome.counts.builds >= scenario.graph.len() as u64,
        "{:?}",
        outcome.counts
    );
    assert!(
        outcome
            .lines
            .iter()
            .any(|line| line.contains("all is healed"))
    );
}
