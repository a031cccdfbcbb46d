//! Recordings of farms.

use std::time::Duration;

use grange_recording::{Lines, header};
use grange_replay::{
    Bounds, Choice, Predictions, Recorded, ReplayError, Summary, check, replay as run,
};

/// A farm with more slots is not run: it would only take long.
const SLOTS: u64 = 1_000;

/// What is printed is read as it was; what can be replayed is replayed to the end.
pub(crate) fn recording(bytes: &[u8]) {
    print(bytes);
    let recorded = match Recorded::read(bytes, "submitter") {
        Ok(recorded) => recorded,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error says something");
            return;
        }
    };
    let (workload, fleet) = (&recorded.workload, &recorded.fleet);
    let jobs = workload.jobs().len();
    check(workload, fleet).expect("who built it can build it");
    let outcome = &recorded.outcome;
    assert_eq!(outcome.built.len(), jobs, "each job was built once");
    for built in &outcome.built {
        assert!(built.ready_ms <= built.start_ms && built.start_ms <= built.end_ms);
    }
    let summary = Summary::new(workload, fleet, Bounds::new(workload, fleet), outcome);
    assert_eq!(summary.builds, jobs);
    if fleet.slots() > SLOTS {
        return;
    }
    let rules = Choice::read("priority").expect("there is such a policy");
    let rules = rules.rules(workload, fleet, &Predictions::none(0.5));
    match run(workload, fleet, rules, || Duration::ZERO) {
        Ok(outcome) => assert_eq!(outcome.built.len(), jobs, "each job is built once"),
        Err(error) => assert!(matches!(error, ReplayError::TooLong), "{error}"),
    }
}

fn print(bytes: &[u8]) {
    let Ok(lines) = Lines::new(bytes) else {
        return;
    };
    let mut text = header(lines.begins());
    let lines: Vec<_> = lines.map_while(Result::ok).collect();
    for line in &lines {
        text.extend(line.clone().print());
    }
    let again = Lines::new(text.as_slice()).expect("what is printed is read");
    let again: Result<Vec<_>, _> = again.collect();
    assert_eq!(again.expect("what is printed is read"), lines);
}
