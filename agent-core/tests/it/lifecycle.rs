//! What becomes of attempts.

use std::time::Duration;

use grange_agent_core::{Effect, End, Ending, Input, Phase, Settings};

use crate::bench::{Bench, assignment, id};

fn settings(parallel: u32, ahead: u32) -> Settings {
    Settings {
        parallel,
        ahead,
        ..Settings::default()
    }
}

#[test]
fn one_attempt_from_assignment_to_acceptance() {
    let mut bench = Bench::assigned(settings(1, 0), [1]);
    assert_eq!(bench.work(), [Effect::Prepare(assignment(1))]);
    bench.tell(Input::Prepared(id(1)));
    assert_eq!(bench.work(), [Effect::Build(id(1))]);
    bench.tell(Input::Finished(id(1)));
    assert_eq!(bench.work(), [Effect::Upload(id(1))]);
    bench.tell(Input::Uploaded(id(1)));
    assert_eq!(bench.work(), [Effect::Report(id(1))]);
    bench.tell(Input::Accepted(id(1)));
    assert_eq!(
        bench.work(),
        [Effect::Close {
            attempt: id(1),
            ending: Ending::Accepted
        }]
    );
    assert_eq!(bench.core.held().count(), 0);
    bench.tell(Input::Closed(id(1)));
    assert_eq!(bench.work(), []);
}

#[test]
fn the_next_is_prepared_while_one_builds_and_starts_when_that_has_returned() {
    let mut bench = Bench::assigned(settings(1, 1), [1, 2]);
    assert_eq!(
        bench.work(),
        [
            Effect::Prepare(assignment(1)),
            Effect::Prepare(assignment(2))
        ]
    );
    bench.tell(Input::Prepared(id(1)));
    bench.tell(Input::Prepared(id(2)));
    assert_eq!(bench.work(), [Effect::Build(id(1))]);
    bench.tell(Input::Finished(id(1)));
    assert_eq!(bench.work(), [Effect::Build(id(2)), Effect::Upload(id(1))]);
}

#[test]
fn uploads_are_bounded_and_so_are_results_that_wait() {
    let settings = Settings {
        uploads: 1,
        results: 2,
        ..settings(1, 9)
    };
    let mut bench = Bench::assigned(settings, 1..=4);
    bench.work();
    (1..=4).for_each(|slot| bench.tell(Input::Prepared(id(slot))));
    assert_eq!(bench.work(), [Effect::Build(id(1))]);
    bench.tell(Input::Finished(id(1)));
    assert_eq!(bench.work(), [Effect::Build(id(2)), Effect::Upload(id(1))]);
    bench.tell(Input::Finished(id(2)));
    assert_eq!(
        bench.work(),
        [],
        "two results wait: neither a build nor an upload more"
    );
    bench.tell(Input::Uploaded(id(1)));
    let expected = [
        Effect::Build(id(3)),
        Effect::Upload(id(2)),
        Effect::Report(id(1)),
    ];
    assert_eq!(bench.work(), expected);
}

#[test]
fn a_setup_failure_is_reported_without_an_upload() {
    let mut bench = Bench::assigned(settings(1, 0), [1]);
    bench.work();
    bench.tell(Input::SetupFailed(id(1)));
    assert_eq!(bench.work(), [Effect::Report(id(1))]);
}

#[test]
fn a_dropped_build_keeps_its_slot_until_it_has_stopped() {
    let mut bench = Bench::assigned(settings(1, 1), [1, 2]);
    bench.work();
    bench.tell(Input::Prepared(id(1)));
    bench.tell(Input::Prepared(id(2)));
    bench.work();
    bench.ask_again();
    bench.answer([], [1]);
    let (work, exchange) = bench.effects();
    assert_eq!(
        work,
        [Effect::Close {
            attempt: id(1),
            ending: Ending::Dropped
        }]
    );
    assert_eq!(exchange.unwrap().held, [(id(2), Phase::Preparing)]);
    bench.tell(Input::Finished(id(1)));
    assert_eq!(bench.work(), [], "what it made is not wanted any more");
    bench.tell(Input::Closed(id(1)));
    assert_eq!(bench.work(), [Effect::Build(id(2))]);
}

#[test]
fn what_is_assigned_again_while_it_is_closed_is_begun_anew_after_that() {
    let mut bench = Bench::assigned(settings(1, 0), [1]);
    bench.work();
    bench.ask_again();
    bench.answer([], [1]);
    bench.work();
    bench.answer([1], []);
    let (work, exchange) = bench.effects();
    assert_eq!(work, []);
    assert_eq!(exchange.unwrap().held, [(id(1), Phase::Preparing)]);
    bench.tell(Input::Closed(id(1)));
    assert_eq!(bench.work(), [Effect::Prepare(assignment(1))]);
}

#[test]
fn what_is_broken_is_tried_again_later_and_at_once_when_the_coordinator_is_back() {
    let mut bench = Bench::assigned(settings(1, 0), [1]);
    bench.work();
    bench.ask_again();
    bench.tell(Input::Broken {
        attempt: id(1),
        retry_after: None,
    });
    assert_eq!(bench.work(), []);
    assert!((100..=200).contains(&bench.wait()));
    assert_eq!(bench.work(), [Effect::Prepare(assignment(1))]);

    let retry_after = Some(Duration::from_secs(60));
    bench.tell(Input::Broken {
        attempt: id(1),
        retry_after,
    });
    let revision = bench.revision();
    bench.tell(Input::ExchangeFailed {
        revision,
        failure: grange_agent_core::ExchangeFailure::Unreachable { retry_after: None },
    });
    bench.wait();
    assert_eq!(bench.work(), []);
    bench.answer([], []);
    assert_eq!(bench.work(), [Effect::Prepare(assignment(1))]);
}

#[test]
fn a_result_of_an_earlier_run_is_named_and_sent() {
    let mut bench = Bench::new(settings(1, 0));
    bench.tell(Input::Resumed(assignment(7)));
    let (work, exchange) = bench.effects();
    assert_eq!(work, [Effect::Upload(id(7))]);
    assert_eq!(exchange.unwrap().held, [(id(7), Phase::Uploading)]);
    bench.tell(Input::Lost(id(7)));
    let (work, exchange) = bench.effects();
    assert_eq!(
        work,
        [Effect::Close {
            attempt: id(7),
            ending: Ending::Lost
        }]
    );
    assert_eq!(
        exchange.unwrap().held,
        [],
        "so the coordinator assigns it again"
    );
}

#[test]
fn a_refused_report_closes_the_attempt() {
    let mut bench = Bench::assigned(settings(1, 0), [1]);
    bench.work();
    bench.tell(Input::SetupFailed(id(1)));
    bench.work();
    bench.tell(Input::Refused(id(1)));
    assert_eq!(
        bench.work(),
        [Effect::Close {
            attempt: id(1),
            ending: Ending::Refused
        }]
    );
}

#[test]
fn draining_takes_nothing_new_and_ends_when_all_is_done() {
    let mut bench = Bench::assigned(settings(1, 0), [1]);
    bench.work();
    bench.tell(Input::Drain);
    let (_, exchange) = bench.effects();
    assert!(!exchange.unwrap().accepting);
    bench.tell(Input::SetupFailed(id(1)));
    bench.tell(Input::Accepted(id(1)));
    bench.work();
    bench.tell(Input::Closed(id(1)));
    assert_eq!(bench.work(), [Effect::End(End::Drained)]);
    assert_eq!(bench.core.poll_timeout(), None);
}

#[test]
fn a_stop_is_the_last_effect() {
    let mut bench = Bench::assigned(settings(1, 0), [1]);
    bench.tell(Input::Stop);
    assert_eq!(bench.effects(), (vec![Effect::End(End::Stopped)], None));
    bench.tell(Input::Prepared(id(1)));
    bench.pass(1_000_000);
    assert_eq!(bench.effects(), (vec![], None));
}

#[test]
fn an_agent_that_is_full_asks_again_when_a_build_has_ended_or_after_a_rest() {
    let mut bench = Bench::assigned(settings(1, 1), [1, 2]);
    let (work, exchange) = bench.effects();
    assert_eq!(work.len(), 2);
    assert_eq!(exchange, None, "there is no room for more");
    bench.tell(Input::Prepared(id(1)));
    assert_eq!(bench.effects(), (vec![Effect::Build(id(1))], None));
    bench.tell(Input::Finished(id(1)));
    let (work, exchange) = bench.effects();
    assert_eq!(work, [Effect::Upload(id(1))]);
    let held = exchange.unwrap().held;
    assert_eq!(held, [(id(1), Phase::Uploading), (id(2), Phase::Preparing)]);

    bench.answer([3], []);
    assert_eq!(bench.effects().1, None);
    assert_eq!(bench.wait(), 250);
    assert!(bench.effects().1.is_some(), "perhaps one was canceled");
}
