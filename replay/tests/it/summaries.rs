//! What replays come to.

use std::time::Duration;

use grange_replay::{
    Bounds, Built, Copies, Durations, Fleet, Layers, Node, Outcome, Speeds, Submission, Summary,
    Workload, gantt,
};

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
fn submitters_share_under_saturation_if_wanted() {
    let copies = Copies::new(layers(), 3);
    let durations = Durations::default();
    let workload = Workload::each_copy(copies, Duration::ZERO, 3, &durations).unwrap();
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\n";
    let fleet = Fleet::read(fleet).unwrap();
    let outcome = run(&workload, &fleet, "share+priority");
    let summary = Summary::new(&workload, &fleet, Bounds::default(), &outcome);
    let fairness = summary.fairness;
    let jobs = workload.jobs().iter();
    let longest = jobs.map(|job| job.duration_ms).max().unwrap();
    // Two in a hundred, or one of the longest builds.
    let bound = 0.02_f64.max(longest as f64 / 3_600_000.0);
    assert!(
        fairness.hours > 2 && fairness.worst.abs() < bound,
        "{fairness:?}, {bound}"
    );
    for share in fairness.shares {
        assert!((share - 1.0 / 3.0).abs() < 0.02, "{share}");
    }
}

/// Builds of one take sixteen times as long as those of another, the third wants but a part of all, and each has a priority of
/// its own: shares are of work, whoever asks for it in whatever pieces.
#[test]
fn submitters_who_differ_share_as_well() {
    let graph = Layers {
        nodes: 3_000,
        width: 300,
        degree: 3,
        seed: 7,
    };
    let graph = graph.draw();
    let tops = graph.tops();
    let part: Vec<u32> = tops.iter().copied().step_by(2).collect();
    let submissions = [(0, 5, &tops), (1, -5, &tops), (2, 0, &part)];
    let submissions = submissions.map(|(copy, priority, derivations)| Submission {
        at: Duration::ZERO,
        submitter: format!("submitter-{copy}"),
        priority,
        copy,
        derivations: derivations.clone(),
    });
    // From five seconds to four minutes.
    let duration = |node: &Node, copy: u32| {
        let uneven = node.name.len() as u64 + node.inputs.len() as u64;
        5_000 * [1, 16, 4][copy as usize] * (1 + uneven % 3)
    };
    let workload =
        Workload::lasting(Copies::new(graph, 3), submissions.to_vec(), duration).unwrap();
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\nslots = 2\n";
    let fleet = Fleet::read(fleet).unwrap();
    let shares = |policy| {
        let outcome = run(&workload, &fleet, policy);
        Summary::new(&workload, &fleet, Bounds::default(), &outcome).fairness
    };
    let fairness = shares("share+priority");
    // One of the longest builds in each of the two slots would be 6.7 points.
    assert!(
        fairness.hours > 8 && fairness.worst.abs() < 0.02,
        "{fairness:?}"
    );
    let without = shares("priority");
    assert!(without.worst.abs() > 0.3, "{without:?}");
}

#[test]
fn a_picture_is_bounded() {
    let workload = evaluations();
    let speeds = Speeds {
        machines: 400,
        slowest: 0.5,
        fastest: 4.0,
        systems: vec!["x86_64-linux".to_owned()],
    };
    let fleet = speeds.fleet(1.0).unwrap();
    assert_eq!(fleet.slots(), 400);
    // A build in each column of each row, now of one submitter and now of the other: 240,000 rectangles in 16 MB, were
    // all of them drawn.
    let jobs = [0, 1].map(|submitter| {
        let mut jobs = workload.jobs().iter();
        let job = jobs.position(|job| job.submitter == submitter);
        u32::try_from(job.unwrap()).unwrap()
    });
    let mut state = 1_u64;
    let places = (0..1_200).flat_map(|column| (0..400).map(move |machine| (column, machine)));
    let built = places.map(|(column, machine)| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        Built {
            job: jobs[usize::from(state >> 63 == 1)],
            machine,
            slot: 0,
            ready_ms: 0,
            start_ms: column * 1_000,
            end_ms: (column + 1) * 1_000,
        }
    });
    let outcome = Outcome {
        built: built.collect(),
        ..Outcome::default()
    };
    let svg = gantt(&workload, &fleet, &outcome);
    let count = svg.matches("<rect").count();
    assert!(svg.len() < 5_000_000, "{} bytes", svg.len());
    assert!((10_000..=60_010).contains(&count), "{count} rectangles");
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
}
