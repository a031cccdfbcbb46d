//! Hooks that put off, reject, block and panic.

use std::sync::Arc;

use async_trait::async_trait;
use grange_interfaces::{Delivery, History, Hook, HookError, Request};
use grange_model::{BuildId, Key, NumberedFact, Record};

use super::recorder::{Recorder, ids, submission};
use crate::conformance::DeliveryBench;

/// "[`HookError::Retry`] to be given it again, later", with one more try each time, and nothing else
/// meanwhile.
pub async fn a_retried_fact_comes_again_before_others(bench: &impl DeliveryBench) {
    let builds = ids(3);
    let second = builds[1];
    let hook = Recorder::new("hook", move |delivery| {
        if submission(&delivery.fact) == Some(second) && delivery.tries < 3 {
            return Err(HookError::Retry("not yet".into()));
        }
        Ok(Vec::new())
    });
    let farm = bench.start(vec![Arc::clone(&hook) as _]).await;
    farm.submit(&builds).await;
    hook.hears_of(builds[2]).await;
    hook.check_turns();
    let heard: Vec<_> = hook
        .seen()
        .into_iter()
        .filter_map(|delivery| Some((submission(&delivery.fact)?, delivery.tries)))
        .collect();
    let again = |tries| (second, tries);
    let expected = [
        (builds[0], 0),
        again(0),
        again(1),
        again(2),
        again(3),
        (builds[2], 0),
    ];
    assert_eq!(heard, expected);
}

/// "The fact becomes a dead letter, and later facts about the same build are held back from this
/// hook": these, and from this hook alone.
pub async fn a_rejected_fact_holds_back_its_build(bench: &impl DeliveryBench) {
    let builds = ids(2);
    let bad = builds[0];
    let picky = Recorder::new("picky", move |delivery| {
        if submission(&delivery.fact) == Some(bad) {
            return Err(HookError::Reject("not that one".into()));
        }
        Ok(Vec::new())
    });
    let other = Recorder::plain("other");
    let farm = bench
        .start(vec![Arc::clone(&picky) as _, Arc::clone(&other) as _])
        .await;
    farm.submit(&builds).await;
    farm.cancel(&builds).await;
    let last = ids(1);
    farm.submit(&last).await;
    let of = |hook: &Recorder, build: BuildId| {
        let facts = hook.facts().into_iter();
        facts
            .filter(|fact| fact.fact.build() == Some(build))
            .count()
    };
    for hook in [&picky, &other] {
        hook.hears_of(last[0]).await;
        hook.check_turns();
        assert_eq!(of(hook, builds[1]), 2, "{hook:?}");
    }
    assert_eq!((of(&picky, bad), of(&other, bad)), (1, 2));
    let history = farm.history();
    let letters = loop {
        let found = history.get(&[Key::Hook("picky".into())]).await;
        match found.expect("it reads").remove(0) {
            Some(Record::Hook(record)) if !record.dead_letters.is_empty() => {
                break record.dead_letters;
            }
            _ => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].build, Some(bad));
    assert_eq!(letters[0].message, "not that one");
}

/// A hook that never answers.
#[derive(Debug)]
struct Blocks;

#[async_trait]
impl Hook for Blocks {
    fn name(&self) -> &str {
        "blocks"
    }

    async fn deliver(&self, _: &Delivery, _: &dyn History) -> Result<Vec<Request>, HookError> {
        std::future::pending().await
    }
}

/// "A hook runs beside the coordinator, and can neither … block nor slow it", nor other hooks.
pub async fn a_hook_that_blocks_holds_nothing_up(bench: &impl DeliveryBench) {
    goes_on_beside(bench, Arc::new(Blocks)).await;
}

/// A hook that panics.
#[derive(Debug)]
struct Panics;

#[async_trait]
impl Hook for Panics {
    fn name(&self) -> &str {
        "panics"
    }

    async fn deliver(&self, _: &Delivery, _: &dyn History) -> Result<Vec<Request>, HookError> {
        panic!("as the suite wants")
    }
}

/// "Can neither fail … it."
pub async fn a_hook_that_panics_takes_nobody_along(bench: &impl DeliveryBench) {
    goes_on_beside(bench, Arc::new(Panics)).await;
}

async fn goes_on_beside(bench: &impl DeliveryBench, bad: Arc<dyn Hook>) {
    let good = Recorder::plain("good");
    let farm = bench.start(vec![bad, Arc::clone(&good) as _]).await;
    for build in ids(5) {
        farm.submit(&[build]).await;
        farm.cancel(&[build]).await;
        good.hears_of(build).await;
    }
    good.check_turns();
}

/// A hook that says what it wants.
#[derive(Debug)]
struct Choosy {
    recorder: Arc<Recorder>,
    wants: fn(&[NumberedFact]) -> Result<Vec<bool>, HookError>,
}

#[async_trait]
impl Hook for Choosy {
    fn name(&self) -> &str {
        self.recorder.name()
    }

    async fn wants(&self, facts: &[NumberedFact], _: &dyn History) -> Result<Vec<bool>, HookError> {
        (self.wants)(facts)
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        history: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        self.recorder.deliver(delivery, history).await
    }
}

/// "Which of these facts … it wants delivered": the others are not.
pub async fn what_a_hook_does_not_want_does_not_come(bench: &impl DeliveryBench) {
    let recorder = Recorder::plain("choosy");
    let hook = Choosy {
        recorder: Arc::clone(&recorder),
        wants: |facts| {
            Ok(facts
                .iter()
                .map(|fact| submission(fact).is_some())
                .collect())
        },
    };
    let farm = bench.start(vec![Arc::new(hook)]).await;
    let builds = ids(3);
    farm.submit(&builds).await;
    farm.cancel(&builds).await;
    let last = ids(1);
    farm.submit(&last).await;
    recorder.hears_of(last[0]).await;
    let others = recorder.facts().into_iter();
    let others: Vec<_> = others.filter(|fact| submission(fact).is_none()).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// "Any error: then all are delivered", and so they are if there is not one answer for each.
pub async fn a_hook_that_does_not_say_what_it_wants_gets_all(bench: &impl DeliveryBench) {
    let (failing, short) = (Recorder::plain("failing"), Recorder::plain("short"));
    let hooks: [Arc<dyn Hook>; 2] = [
        Arc::new(Choosy {
            recorder: Arc::clone(&failing),
            wants: |_| Err(HookError::Retry("it does not know".into())),
        }),
        Arc::new(Choosy {
            recorder: Arc::clone(&short),
            wants: |_| Ok(Vec::new()),
        }),
    ];
    let farm = bench.start(hooks.to_vec()).await;
    for build in ids(3) {
        farm.submit(&[build]).await;
        failing.hears_of(build).await;
        short.hears_of(build).await;
    }
}
