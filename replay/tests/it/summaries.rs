//! What replays come to.

use std::time::Duration;

use grange_replay::{Bounds, Copies, Durations, Fleet, Speeds, Summary, Workload, gantt};

use crate::farms::{TWO, evaluations, layers, run};

#[test]
fn figures_keep_to_what_they_can_be() {
    let workload = evaluations();
    let fleet = Fleet::read(TWO).unwrap();
    let outcome = run(&workload, &fleet, "priority");
    let bounds = Bounds::new(&workload, &fleet);
    let summary = Summary::new(&workload, &fleet, bounds, &outcome);
    assert!(summary.ratio() >= 1.0, "{summary:?}");
    assert!(summary.used <= 1.0 && summary.busy <= 1.0, "{summary:?}");
    let waits = summary.waits;
    assert!(waits.p50_ms <= waits.p90_ms && waits.p99_ms <= waits.longest_ms);
    assert_eq!(summary.builds, workload.jobs().len());
}

#[test]
fn who_came_first_has_all_under_saturation() {
    // Both ask at once for copies of their own. Whoever is served first has all of it: the default knows no shares.
    let copies = Copies::new(layers(), 2);
    let durations = Durations::default();
    let workload = Workload::each_copy(copies, Duration::ZERO, 2, &durations).unwrap();
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\n";
    let fleet = Fleet::read(fleet).unwrap();
    let outcome = run(&workload, &fleet, "fifo");
    let summary = Summary::new(&workload, &fleet, Bounds::default(), &outcome);
    let fairness = summary.fairness;
    assert!(
        fairness.hours > 0 && fairness.worst.abs() > 0.3,
        "{fairness:?}"
    );
    let sum: f64 = fairness.shares.iter().sum();
    assert!((sum - 1.0).abs() < 1e-9, "{fairness:?}");
}

#[test]
fn a_picture_is_bounded() {
    let workload = evaluations();
    let speeds = Speeds {
        machines: 900,
        slowest: 0.5,
        fastest: 4.0,
        systems: vec!["x86_64-linux".to_owned()],
    };
    let fleet = speeds.fleet(1.0).unwrap();
    assert_eq!(fleet.slots(), 900);
    let outcome = run(&workload, &fleet, "fifo");
    let svg = gantt(&workload, &fleet, &outcome);
    assert!(svg.len() < 5_000_000 && svg.matches("<rect").count() > 10);
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
}
