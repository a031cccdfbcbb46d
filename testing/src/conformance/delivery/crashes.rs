//! What survives a crash.

use std::sync::Arc;

use grange_interfaces::HookError;

use super::recorder::{Recorder, another, ids, journal, submission, until};
use crate::conformance::DeliveryBench;

/// "After a crash or a failure the same fact comes again": none is lost that was not taken.
pub async fn what_was_not_taken_comes_after_a_crash(bench: &impl DeliveryBench) {
    let first = Recorder::new("hook", |_| Err(HookError::Retry("not now".into())));
    let farm = bench.start(vec![Arc::clone(&first) as _]).await;
    let builds = ids(5);
    farm.submit(&builds).await;
    first.hears_of(builds[0]).await;
    farm.kill().await;
    // It is killed again while it is at it.
    let second = Recorder::plain("hook");
    let farm = bench.start(vec![Arc::clone(&second) as _]).await;
    second.hears_of(builds[2]).await;
    farm.kill().await;
    let third = Recorder::plain("hook");
    let farm = bench.start(vec![Arc::clone(&third) as _]).await;
    let last = ids(1);
    farm.submit(&last).await;
    third.hears_of(last[0]).await;
    let mut heard = second.facts();
    for fact in third.facts() {
        heard.retain(|it| it.number < fact.number);
        heard.push(fact);
    }
    let heard: Vec<_> = heard.iter().filter_map(submission).collect();
    assert_eq!(heard, [&builds[..], &last].concat(), "facts are lost");
    third.check_turns();
}

/// "Under which name its cursor is kept": what a hook took and was answered for does not come again.
pub async fn a_cursor_survives_a_crash(bench: &impl DeliveryBench) {
    let builds = ids(2);
    let asked = builds[1];
    let first = Recorder::new("hook", move |delivery| match delivery.fact.fact {
        grange_model::Fact::Submitted {
            build, derivation, ..
        } if build == asked => Ok(vec![another(derivation)]),
        _ => Ok(Vec::new()),
    });
    let farm = bench.start(vec![Arc::clone(&first) as _]).await;
    farm.submit(&builds).await;
    // What it asked for is there, and its cursor with it.
    until(|| first.submitted().len() == 3).await;
    farm.kill().await;
    let second = Recorder::plain("hook");
    let farm = bench.start(vec![Arc::clone(&second) as _]).await;
    let last = ids(1);
    farm.submit(&last).await;
    second.hears_of(last[0]).await;
    let again = second
        .submitted()
        .into_iter()
        .filter(|it| builds.contains(it))
        .count();
    assert_eq!(again, 0, "facts behind the cursor came again");
    let all: Vec<_> = journal(&*farm.history())
        .await
        .iter()
        .filter_map(submission)
        .collect();
    assert_eq!(all.len(), 4, "{all:?}");
}
