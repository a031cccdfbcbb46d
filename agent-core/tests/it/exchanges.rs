//! When the coordinator is told what.

use std::time::Duration;

use grange_agent_core::{Effect, End, ExchangeFailure, Input, Phase, Settings};

use crate::bench::{Bench, LEASE, id};

const UNREACHABLE: ExchangeFailure = ExchangeFailure::Unreachable { retry_after: None };

#[test]
fn the_first_exchange_comes_back_at_once_and_the_next_waits() {
    let mut bench = Bench::new(Settings::default());
    let (_, first) = bench.effects();
    assert_eq!(first.unwrap().wait, Duration::ZERO);
    assert_eq!(bench.effects().1, None, "one is under way");
    bench.answer([], []);
    let (_, second) = bench.effects();
    assert_eq!(second.unwrap().wait, Settings::default().wait);
    let contact = bench.core.contact();
    assert_eq!(
        (contact.last, contact.lease, contact.failing),
        (Some(bench.now), LEASE, false)
    );
}

#[test]
fn a_free_slot_is_told_at_once_and_the_answer_to_the_void_exchange_does_not_count() {
    let mut bench = Bench::assigned(Settings::default(), [1]);
    bench.work();
    bench.tell(Input::Prepared(id(1)));
    bench.work();
    let void = bench.revision();
    bench.tell(Input::Finished(id(1)));
    let (_, exchange) = bench.effects();
    assert_eq!(exchange.unwrap().held, [(id(1), Phase::Uploading)]);
    bench.tell(Input::Answered {
        revision: void,
        assign: vec![],
        drop: vec![id(1)],
        lease: LEASE,
    });
    assert_eq!(bench.effects(), (vec![], None));
    assert_eq!(bench.core.held().count(), 1);
}

#[test]
fn that_a_build_runs_is_told_within_a_second() {
    let mut bench = Bench::assigned(Settings::default(), [1]);
    bench.work();
    bench.tell(Input::Prepared(id(1)));
    assert_eq!(bench.effects().1, None);
    assert_eq!(bench.wait(), 1000);
    let (_, exchange) = bench.effects();
    assert_eq!(exchange.unwrap().held, [(id(1), Phase::Building)]);
}

#[test]
fn an_unreachable_coordinator_is_asked_ever_less_often_while_builds_go_on() {
    let mut bench = Bench::assigned(
        Settings {
            parallel: 2,
            ..Settings::default()
        },
        [1, 2],
    );
    bench.work();
    for most in [200, 400, 800, 1600] {
        let revision = bench.revision();
        bench.tell(Input::ExchangeFailed {
            revision,
            failure: UNREACHABLE,
        });
        assert_eq!(bench.effects().1, None);
        let waited = bench.wait();
        assert!((most / 2..=most).contains(&waited), "{waited} of {most}");
        let (_, exchange) = bench.effects();
        assert_eq!(exchange.unwrap().wait, Duration::ZERO);
    }
    assert!(bench.core.contact().failing);
    bench.tell(Input::Prepared(id(1)));
    assert_eq!(bench.work(), [Effect::Build(id(1))]);
    let revision = bench.revision();
    bench.tell(Input::ExchangeFailed {
        revision,
        failure: UNREACHABLE,
    });
    bench.tell(Input::Finished(id(1)));
    let (work, exchange) = bench.effects();
    assert_eq!(
        (work, exchange),
        (vec![Effect::Upload(id(1))], None),
        "no exchange before its time"
    );
}

#[test]
fn a_wrong_password_is_tried_again_after_half_a_minute_at_the_latest() {
    let mut bench = Bench::new(Settings::default());
    bench.effects();
    bench.tell(Input::ExchangeFailed {
        revision: 1,
        failure: ExchangeFailure::Forbidden,
    });
    let waited = bench.wait();
    assert!((15_000..=30_000).contains(&waited), "{waited}");
    assert!(bench.effects().1.is_some());
}

#[test]
fn an_exchange_that_is_never_answered_is_given_up() {
    let mut bench = Bench::assigned(Settings::default(), []);
    bench.effects();
    assert_eq!(bench.wait(), 60_000, "30 s of waiting, 30 s of grace");
    assert_eq!(bench.effects().1, None);
    assert!(bench.wait() <= 200);
    assert!(bench.effects().1.is_some());
}

#[test]
fn a_silent_connection_is_given_up_before_the_lease_runs_out() {
    const SHORT: Duration = Duration::from_secs(16);
    let mut bench = Bench::assigned(Settings::default(), [1]);
    bench.work();
    bench.tell(Input::Prepared(id(1)));
    bench.wait();
    bench.effects();
    bench.tell(Input::Answered {
        revision: bench.revision(),
        assign: vec![],
        drop: vec![],
        lease: SHORT,
    });
    while bench.effects().1.is_none() {
        bench.wait();
    }
    let asked = bench.now.0;
    // The first is waited for during three quarters of the lease; those after that a little, and ever longer.
    for patience in [12_000, 1000] {
        assert_eq!(bench.wait(), patience);
        while bench.effects().1.is_none() {
            bench.wait();
        }
    }
    assert!(bench.now.0 - asked < 16_000, "{}", bench.now.0 - asked);
}

#[test]
fn a_coordinator_that_does_not_wait_is_not_asked_all_the_time() {
    let mut bench = Bench::assigned(Settings::default(), []);
    let mut asked = 0;
    let end = bench.now.0 + 60_000;
    while bench.now.0 < end {
        if bench.effects().1.is_some() {
            asked += 1;
            bench.answer([], []);
        } else {
            bench.wait();
        }
    }
    assert!((60..200).contains(&asked), "{asked} exchanges in a minute");
}

#[test]
fn a_coordinator_that_will_never_answer_ends_the_run() {
    let mut bench = Bench::new(Settings::default());
    bench.effects();
    bench.tell(Input::ExchangeFailed {
        revision: 1,
        failure: ExchangeFailure::Fatal,
    });
    assert_eq!(bench.effects(), (vec![Effect::End(End::Fatal)], None));
}
