//! What is said of durations beforehand.

use std::time::Duration;

use grange_replay::{Copies, Durations, Graph, Predictions, Workload};

fn workload() -> Workload {
    let text = "grange-graph 1\nold-1.0\tx86_64-linux\t-\tout\t-\nold-2.0\tx86_64-linux\t-\tout\t-\n\
                old-1.0\ti686-linux\t-\tout\t-\nnew-1.0\tx86_64-linux\t-\tout\t-\n";
    let copies = Copies::new(Graph::read(text).expect("it is well-formed"), 1);
    let durations = Durations::default();
    Workload::each_copy(copies, Duration::ZERO, 1, &durations).expect("it is well-formed")
}

#[test]
fn builds_of_a_package_on_a_system_foretell_the_next() {
    let workload = workload();
    let old = &workload.copies().graph().nodes()[0];
    let past = [(old, 9), (old, 1), (old, 5), (old, 7)];
    let predict = |quantile: f64, job| Predictions::new(quantile, past).of(&workload, job);
    assert_eq!(
        [0.0, 0.5, 0.75, 1.0].map(|quantile| predict(quantile, 0)),
        [1, 5, 7, 9]
    );
    assert_eq!(predict(0.5, 1), 5, "another version");
    // What was never built takes what all builds take.
    assert_eq!((predict(0.25, 2), predict(0.5, 3)), (1, 5));
    let predictions = Predictions::new(0.5, past);
    assert_eq!(predictions.cautious(&workload, 0), 5);
    assert_eq!(predictions.cautious(&workload, 3), 9);
}

#[test]
fn without_a_history_there_is_a_default() {
    let workload = workload();
    let none = Predictions::none(0.5);
    assert_eq!(none.of(&workload, 0), 60_000);
    assert_eq!(none.cautious(&workload, 0), 3_600_000);
    assert_eq!(Predictions::new(0.5, []).of(&workload, 0), 60_000);
}

#[test]
fn earlier_evaluations_foretell_all_but_what_is_new() {
    let copies = Copies::new(Graph::guix(), 1);
    let durations = Durations::default();
    let workload = Workload::each_copy(copies, Duration::ZERO, 1, &durations).unwrap();
    let predictions = Predictions::before(&workload, &durations, 1, 0.2, 0.5);
    let jobs = (0..).zip(workload.jobs());
    let near = jobs.filter(|(job, row)| {
        let ratio = predictions.of(&workload, *job) as f64 / row.duration_ms as f64;
        (0.5..2.0).contains(&ratio)
    });
    let near = near.count() as f64 / workload.jobs().len() as f64;
    assert!((0.8..0.95).contains(&near), "{near}");
}
