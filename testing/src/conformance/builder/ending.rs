//! Ends, on all ways.

use std::sync::Arc;

use futures::future::{join, join_all};
use grange_interfaces::{BuildError, Log, Stop};
use grange_model::{FailureKind, Limits};

use super::workshop::{out, word, write};
use crate::Step;
use crate::conformance::BuilderBench;

/// "When it returns by itself, no process of the build is left", whether it went well or not.
pub async fn nothing_is_left_of_a_build(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    for status in [0, 3] {
        let word = word();
        let steps = [
            Step::Leave(word.clone()),
            write("out", ""),
            Step::Exit(status),
        ];
        let made = shop.make("leaves", &steps);
        let outcome = shop.build(&made, &[]).await;
        assert!(
            !(shop.is_running)(&word),
            "a process is left after status {status}"
        );
        assert_eq!(outcome.result.is_ok(), status == 0, "{:?}", outcome.result);
    }
}

/// "When it is told to stop …, nothing of it is left soon after": no process, and nothing valid.
pub async fn a_build_stops_when_told_to(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let word = word();
    let made = shop.make("waits", &[write("out", "half"), Step::Wait(word.clone())]);
    let (mut stopper, stop) = Stop::new();
    let job = shop.job(&made, &[]).await;
    let stopping = async {
        shop.until_running(&word, true).await;
        stopper.stop();
    };
    let (outcome, ()) = join(shop.run(&job, stop), stopping).await;
    assert_eq!(outcome.error(), BuildError::Stopped);
    shop.until_running(&word, false).await;
    assert!(
        !shop.is_valid(out(&made)).await,
        "it was stopped, and is valid"
    );
}

/// The same before it has begun.
pub async fn a_build_that_was_stopped_does_not_begin(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let made = shop.make("never", &[write("out", "")]);
    let (mut stopper, stop) = Stop::new();
    stopper.stop();
    let outcome = shop.run(&shop.job(&made, &[]).await, stop).await;
    assert_eq!(outcome.error(), BuildError::Stopped);
    assert!(
        !shop.is_valid(out(&made)).await,
        "it was stopped, and is valid"
    );
}

/// "Or its future is dropped": soon after, nothing of it runs, and it can be built again.
pub async fn nothing_is_left_of_a_dropped_build(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let word = word();
    let made = shop.make("dropped", &[write("out", "half"), Step::Wait(word.clone())]);
    let job = shop.job(&made, &[]).await;
    for _ in 0..2 {
        let (log, receiver) = Log::new(4);
        let (builder, job) = (Arc::clone(&shop.builder), job.clone());
        let build = tokio::spawn(async move { builder.build(&job, log, Stop::never()).await });
        shop.until_running(&word, true).await;
        build.abort();
        let ended = build.await;
        assert!(ended.is_err(), "it ended by itself: {ended:?}");
        drop(receiver);
        shop.until_running(&word, false).await;
        assert!(
            !shop.is_valid(out(&made)).await,
            "it was dropped, and is valid"
        );
    }
}

/// `limits.timeout_ms`: who runs longer has failed.
pub async fn who_runs_too_long_is_ended(bench: &impl BuilderBench) {
    let limits = Limits {
        timeout_ms: 1_000,
        max_silent_ms: 60_000,
    };
    limited(bench, limits, FailureKind::Timeout).await;
}

/// `limits.max_silent_ms`: who says nothing for longer has failed.
pub async fn who_is_silent_too_long_is_ended(bench: &impl BuilderBench) {
    let limits = Limits {
        timeout_ms: 60_000,
        max_silent_ms: 1_000,
    };
    limited(bench, limits, FailureKind::Silence).await;
}

async fn limited(bench: &impl BuilderBench, limits: Limits, expected: FailureKind) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let word = word();
    let made = shop.make("limited", &[write("out", "half"), Step::Wait(word.clone())]);
    let mut job = shop.job(&made, &[]).await;
    job.limits = limits;
    let outcome = shop.run(&job, Stop::never()).await;
    assert!(!(shop.is_running)(&word), "a process is left");
    match outcome.error() {
        BuildError::Failed { kind, .. } => assert_eq!(kind, expected),
        other => panic!("it failed otherwise: {other:?}"),
    }
    assert!(
        !shop.is_valid(out(&made)).await,
        "it was ended, and is valid"
    );
}

/// "Calls run at once, as many as the agent was told to."
pub async fn builds_run_at_once(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let most = shop
        .builder
        .offers()
        .max_parallel_builds
        .unwrap_or(4)
        .min(4);
    let (mut stopper, stop) = Stop::new();
    let mut jobs = Vec::new();
    for _ in 0..most {
        let word = word();
        let made = shop.make("waits", &[Step::Wait(word.clone())]);
        jobs.push((shop.job(&made, &[]).await, word));
    }
    let builds = join_all(jobs.iter().map(|(job, _)| shop.run(job, stop.clone())));
    let stopping = async {
        for (_, word) in &jobs {
            shop.until_running(word, true).await;
        }
        stopper.stop();
    };
    let (outcomes, ()) = join(builds, stopping).await;
    for outcome in outcomes {
        assert_eq!(outcome.error(), BuildError::Stopped);
    }
}
