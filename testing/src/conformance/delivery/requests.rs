//! What hooks ask for.

use std::sync::Arc;

use grange_model::{BuildId, Fact, Key, Record};

use super::recorder::{Recorder, another, ids, journal, submission, until};
use crate::conformance::DeliveryBench;

/// How many builds of a hook may follow from each other.
const MOST_IN_A_ROW: usize = 16;

/// A hook that asks for one more build of what `mine` were submitted for.
fn doubling(mine: Vec<BuildId>) -> Arc<Recorder> {
    Recorder::new("doubling", move |delivery| match delivery.fact.fact {
        Fact::Submitted {
            build, derivation, ..
        } if mine.contains(&build) => Ok(vec![another(derivation)]),
        _ => Ok(Vec::new()),
    })
}

/// "Committed together with the hook's cursor, so exactly once", though it is killed again and again.
pub async fn requests_are_done_once(bench: &impl DeliveryBench) {
    let builds = ids(12);
    for (round, some) in builds.chunks(3).enumerate() {
        let hook = doubling(builds.clone());
        let farm = bench.start(vec![Arc::clone(&hook) as _]).await;
        farm.submit(some).await;
        // Killed sooner and later: before it has heard of them, while it does, and after.
        let count = (2 * round).min(3);
        until(|| hook.submitted().len() >= count).await;
        farm.kill().await;
    }
    let hook = doubling(builds.clone());
    let farm = bench.start(vec![Arc::clone(&hook) as _]).await;
    let last = ids(1);
    farm.submit(&last).await;
    hook.hears_of(last[0]).await;
    let all: Vec<_> = journal(&*farm.history())
        .await
        .iter()
        .filter_map(submission)
        .collect();
    assert_eq!(
        all.len(),
        2 * builds.len() + 1,
        "some were done twice or never: {all:?}"
    );
}

/// "Its `cause` is filled in": which hook, and how many stand behind it.
pub async fn requests_say_their_cause(bench: &impl DeliveryBench) {
    let builds = ids(1);
    let hook = doubling(builds.clone());
    let farm = bench.start(vec![Arc::clone(&hook) as _]).await;
    farm.submit(&builds).await;
    until(|| hook.submitted().len() == 2).await;
    let asked = hook.submitted()[1];
    farm.cancel(&[asked]).await;
    let found = farm.history().get(&[Key::Finished(asked)]).await;
    match found.expect("it reads").remove(0) {
        Some(Record::Finished(build)) => {
            let cause = build.build.spec.cause.expect("a hook asked for it");
            assert_eq!((&*cause.hook, cause.depth), ("doubling", 1));
        }
        other => panic!("it was canceled: {other:?}"),
    }
}

/// A hook that asks for builds because of builds that it asked for comes to an end.
pub async fn hooks_in_a_row_end(bench: &impl DeliveryBench) {
    let hook = Recorder::new("endless", |delivery| match delivery.fact.fact {
        Fact::Submitted { derivation, .. } => Ok(vec![another(derivation)]),
        _ => Ok(Vec::new()),
    });
    let farm = bench.start(vec![Arc::clone(&hook) as _]).await;
    farm.submit(&ids(1)).await;
    until(|| hook.submitted().len() > MOST_IN_A_ROW).await;
    let history = farm.history();
    let letters = loop {
        let found = history.get(&[Key::Hook("endless".into())]).await;
        match found.expect("it reads").remove(0) {
            Some(Record::Hook(record)) if !record.dead_letters.is_empty() => {
                break record.dead_letters;
            }
            _ => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(hook.submitted().len(), MOST_IN_A_ROW + 1);
}
