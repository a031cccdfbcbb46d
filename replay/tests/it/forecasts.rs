//! Whether builds end when the core said they would.

use std::time::Duration;

use grange_replay::{Calibration, Choice, Durations, Fleet, Predictions, Rules, replay};

use crate::farms::{TWO, evaluations};

fn calibration(policy: &str, every: Option<Duration>) -> Option<Calibration> {
    let workload = evaluations();
    let fleet = Fleet::read(TWO).unwrap();
    let predictions = Predictions::before(&workload, &Durations::default(), 3, 0.1, 0.5);
    let choice = Choice::read(policy).unwrap();
    let rules = Rules {
        forecast_every: every,
        ..choice.rules(&workload, &fleet, &predictions)
    };
    let outcome = replay(&workload, &fleet, rules, || Duration::ZERO).unwrap();
    Calibration::new(&workload, &outcome)
}

#[test]
fn forecasts_come_true() {
    let every = Some(Duration::from_mins(3));
    let calibration = calibration("fifo", every).unwrap();
    // At first nothing is known of durations, so that the medians are cautious.
    assert!(calibration.forecasts > 500, "{calibration:?}");
    assert!(
        (0.35..0.95).contains(&calibration.by_p50),
        "{calibration:?}"
    );
    assert!(
        (0.85..=1.0).contains(&calibration.by_p90),
        "{calibration:?}"
    );
    assert!(calibration.factor < 1.4, "{calibration:?}");
}

#[test]
fn who_is_not_asked_says_nothing() {
    assert_eq!(calibration("fifo", None), None);
}
