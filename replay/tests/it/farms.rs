//! Farms in virtual time.

use std::time::Duration;

use grange_coordinator_core::Policy;
use grange_replay::{
    Choice, Copies, Durations, Fleet, Graph, Layers, Outcome, Predictions, ReplayError, Workload,
    replay,
};

pub(crate) const TWO: &str = "[[machine]]\nsystems = [\"x86_64-linux\"]\nspeed = 2.0\nslots = 2\n\
                   [[machine]]\nname = \"slow\"\nsystems = [\"x86_64-linux\", \"i686-linux\"]\nspeed = 0.5\n";

pub(crate) fn layers() -> Graph {
    Layers {
        nodes: 300,
        width: 30,
        degree: 3,
        seed: 7,
    }
    .draw()
}

pub(crate) fn evaluations() -> Workload {
    let copies = Copies::evaluations(layers(), 3, 0.2, 1);
    let every = Duration::from_mins(30);
    Workload::each_copy(copies, every, 2, &Durations::default()).expect("it is well-formed")
}

pub(crate) fn run(workload: &Workload, fleet: &Fleet, policy: &str) -> Outcome {
    let predictions = Predictions::before(workload, &Durations::default(), 3, 0.1, 0.5);
    let rules =
        Choice::read(policy)
            .expect("it is well-formed")
            .rules(workload, fleet, &predictions);
    replay(workload, fleet, rules, || Duration::ZERO).expect("it is well-formed")
}

#[test]
fn every_job_is_built_once_and_after_its_inputs() {
    let workload = evaluations();
    let fleet = Fleet::read(TWO).unwrap();
    for policy in [
        "fifo",
        "priority",
        "critical-path+fastest",
        "priority+predicted-path+fastest",
        "priority+learned-path+fastest",
        "critical-path+fastest+floors",
        "predicted-path+predicted-floors",
    ] {
        let outcome = run(&workload, &fleet, policy);
        assert_eq!(outcome, run(&workload, &fleet, policy), "the same again");
        assert_eq!(outcome.built.len(), workload.jobs().len());
        let mut ends = vec![None; workload.jobs().len()];
        for built in &outcome.built {
            assert!(built.ready_ms <= built.start_ms && built.start_ms < built.end_ms);
            let inputs = workload.inputs(built.job).iter();
            let ready = inputs.map(|input: &u32| ends[*input as usize].unwrap());
            let release = workload.jobs()[built.job as usize].release_ms;
            assert_eq!(built.ready_ms, ready.fold(release, u64::max));
            assert_eq!(ends[built.job as usize].replace(built.end_ms), None);
        }
        // No slot runs two at once.
        let mut slots: Vec<_> = outcome.built.clone();
        slots.sort_by_key(|it| (it.machine, it.slot, it.start_ms));
        for pair in slots.windows(2) {
            let same = (pair[0].machine, pair[0].slot) == (pair[1].machine, pair[1].slot);
            assert!(!same || pair[0].end_ms <= pair[1].start_ms);
        }
    }
}

#[test]
fn a_system_that_nobody_has_is_named() {
    let text = "grange-graph 1\nlib\tx86_64-linux\t-\tout\t-\nuser\tpowerpc-linux\t-\tout\t0\n";
    let copies = Copies::new(Graph::read(text).unwrap(), 1);
    let workload = Workload::each_copy(copies, Duration::ZERO, 1, &Durations::default()).unwrap();
    let fleet = Fleet::read(TWO).unwrap();
    let error = replay(&workload, &fleet, Policy::default(), || Duration::ZERO).unwrap_err();
    let expected = ReplayError::NoMachine {
        system: "powerpc-linux".to_owned(),
        jobs: 1,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_farm_that_builds_a_fixed_output_twice_keeps_the_first() {
    let text = "grange-graph 1\n\
                source\tx86_64-linux\t0\tout\t-\t60000\n\
                again\tx86_64-linux\t0\tout\t-\t1000\n\
                user\tx86_64-linux\t-\tout\t0 1\t1000\n";
    let copies = Copies::new(Graph::read(text).unwrap(), 1);
    let workload = Workload::each_copy(copies, Duration::ZERO, 1, &Durations::default()).unwrap();
    let fleet = Fleet::read(TWO).unwrap();
    let outcome = run(&workload, &fleet, "fifo");
    assert_eq!(outcome.built.len(), 2, "{outcome:?}");
    assert!(outcome.wasted_ms > 0);
}

#[test]
fn what_is_most_urgent_comes_first() {
    let text = "grange-graph 1\n\
                alone\tx86_64-linux\t-\tout\t-\t9000\n\
                first\tx86_64-linux\t-\tout\t-\t4000\n\
                second\tx86_64-linux\t-\tout\t1\t4000\n\
                third\tx86_64-linux\t-\tout\t2\t4000\n";
    let copies = Copies::new(Graph::read(text).unwrap(), 1);
    let workload = Workload::each_copy(copies, Duration::ZERO, 1, &Durations::default()).unwrap();
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\nslots = 1\n";
    let fleet = Fleet::read(fleet).unwrap();
    let order = |policy| {
        let outcome = run(&workload, &fleet, policy);
        let jobs = outcome.built.iter().map(|built| built.job);
        jobs.collect::<Vec<_>>()
    };
    assert_eq!(order("critical-path"), [1, 0, 2, 3]);
    assert_eq!(order("priority"), [0, 1, 2, 3]);
}

#[test]
fn the_fastest_machine_comes_first_if_wanted() {
    let text = "grange-graph 1\nalone\tx86_64-linux\t-\tout\t-\t8000\n";
    let copies = Copies::new(Graph::read(text).unwrap(), 1);
    let workload = Workload::each_copy(copies, Duration::ZERO, 1, &Durations::default()).unwrap();
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\nslots = 9\nspeed = 0.5\n\
                 [[machine]]\nsystems = [\"x86_64-linux\"]\nspeed = 4.0\n";
    let fleet = Fleet::read(fleet).unwrap();
    assert_eq!(run(&workload, &fleet, "fifo").makespan_ms(), 16_000);
    assert_eq!(run(&workload, &fleet, "fifo+fastest").makespan_ms(), 2_000);
    assert_eq!(run(&workload, &fleet, "fifo+floors").makespan_ms(), 2_000);
}

#[test]
fn the_fastest_machine_is_seen_among_many() {
    let text = "grange-graph 1\nalone\tx86_64-linux\t-\tout\t-\t8000\n";
    let copies = Copies::new(Graph::read(text).unwrap(), 1);
    let workload = Workload::each_copy(copies, Duration::ZERO, 1, &Durations::default()).unwrap();
    let slow = "[[machine]]\nsystems = [\"x86_64-linux\"]\nspeed = 0.5\ncount = 200\n";
    let fast = "[[machine]]\nsystems = [\"x86_64-linux\"]\nspeed = 4.0\n";
    for text in [format!("{slow}{fast}"), format!("{fast}{slow}")] {
        let fleet = Fleet::read(&text).unwrap();
        assert_eq!(run(&workload, &fleet, "fifo+fastest").makespan_ms(), 2_000);
    }
}

/// Each takes a year, and a thousand of them on the slowest machine there can be.
fn years(count: usize) -> Workload {
    let line = "long\tx86_64-linux\t-\tout\t-\t31536000000\n";
    let text = format!("grange-graph 1\n{}", line.repeat(count));
    let copies = Copies::new(Graph::read(&text).expect("it is well-formed"), 1);
    Workload::each_copy(copies, Duration::ZERO, 1, &Durations::default())
        .expect("it is well-formed")
}

#[test]
fn the_longest_builds_end_soon() {
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\nspeed = 0.001\n\
                 [[machine]]\nsystems = [\"i686-linux\"]\ncount = 50\n";
    let fleet = Fleet::read(fleet).unwrap();
    let outcome = run(&years(3), &fleet, "fifo");
    assert_eq!(outcome.makespan_ms(), 3_000 * 31_536_000_000);
    // Who has nothing to do asks rarely meanwhile.
    assert!(outcome.spent.calls < 100_000, "{:?}", outcome.spent.calls);

    let rules = Policy::default();
    let error = replay(&years(101), &fleet, rules, || Duration::ZERO).unwrap_err();
    assert_eq!(error, ReplayError::TooLong);
}

#[test]
fn a_policy_that_nobody_knows_is_named() {
    let error = Choice::read("priority+fair").unwrap_err().to_string();
    assert!(
        error.starts_with("policy: `fair` is unknown; there are fifo, "),
        "{error}"
    );
}
