//! Deliveries, and what comes of them.

use std::collections::BTreeSet;

use grange_interfaces::{Delivery, History, Hook, HookError, Request};
use grange_model::{BuildId, FactNumber, NumberedFact};
use uuid::Uuid;

use super::histories::{KNOWN, Unavailable, of_samples};
use crate::MemoryDatastore;
use crate::conformance::HookBench;

type Answer = Result<Vec<Request>, HookError>;

/// How often a fact is given again that is put off.
const TRIES: u32 = 5;

async fn facts() -> Vec<NumberedFact> {
    let history = of_samples().await;
    let page = history.facts(FactNumber(0), usize::MAX).await;
    page.expect("it reads").entries
}

async fn give(hook: &dyn Hook, fact: &NumberedFact, tries: u32, from: &dyn History) -> Answer {
    let delivery = Delivery {
        fact: fact.clone(),
        tries,
    };
    hook.deliver(&delivery, from).await
}

/// Without what may differ from one time to the next.
fn plain(answer: Answer) -> Result<Vec<Request>, String> {
    let without = |request| match request {
        Request::Build(mut spec) => {
            spec.id = BuildId(Uuid::nil());
            Request::Build(spec)
        }
        other => other,
    };
    match answer {
        Ok(requests) => Ok(requests.into_iter().map(without).collect()),
        Err(HookError::Reject(_)) => Err("rejected".into()),
        Err(HookError::Retry(_)) => Err("put off".into()),
    }
}

/// "Under which name its cursor is kept": one, and always the same.
pub async fn its_name_stays(bench: &impl HookBench) {
    let history = of_samples().await;
    let hook = bench.open().await;
    let name = hook.name().to_owned();
    assert!(!name.is_empty(), "a cursor needs a name");
    for fact in facts().await {
        let answer = give(&*hook, &fact, 0, &*history).await;
        assert_eq!(
            hook.name(),
            name,
            "after {fact:?}, answered with {answer:?}"
        );
    }
    assert_eq!(bench.open().await.name(), name, "in another process");
}

/// Facts of every kind are taken or rejected in the end. What never is holds up all later ones.
pub async fn facts_of_all_kinds_are_answered(bench: &impl HookBench) {
    let history = of_samples().await;
    let hook = bench.open().await;
    for fact in facts().await {
        let mut answer = give(&*hook, &fact, 0, &*history).await;
        for tries in 1..TRIES {
            if matches!(answer, Err(HookError::Retry(_))) {
                answer = give(&*hook, &fact, tries, &*history).await;
            }
        }
        let put_off = matches!(answer, Err(HookError::Retry(_)));
        assert!(!put_off, "{fact:?} is put off for ever: {answer:?}");
    }
}

/// The same where the history knows nothing of what the fact is about any more.
pub async fn what_is_not_known_is_answered(bench: &impl HookBench) {
    let history = MemoryDatastore::new();
    let hook = bench.open().await;
    for fact in facts().await {
        let answer = give(&*hook, &fact, 0, &history).await;
        let put_off = matches!(answer, Err(HookError::Retry(_)));
        assert!(!put_off, "{fact:?} is put off for ever: {answer:?}");
    }
}

/// "Each at least once": a fact that comes again is answered again, for what was asked for the first
/// time may not have been committed.
pub async fn a_fact_that_comes_again_is_answered_again(bench: &impl HookBench) {
    let history = of_samples().await;
    let hook = bench.open().await;
    for fact in facts().await {
        let first = plain(give(&*hook, &fact, 0, &*history).await);
        for tries in [1, 0, 7] {
            let again = plain(give(&*hook, &fact, tries, &*history).await);
            assert_eq!(again, first, "{fact:?}, after {tries} tries");
        }
    }
}

/// The same for a hook in another process, after a crash.
pub async fn a_new_process_answers_the_same(bench: &impl HookBench) {
    let history = of_samples().await;
    let hook = bench.open().await;
    for fact in facts().await {
        let first = plain(give(&*hook, &fact, 0, &*history).await);
        let other = bench.open().await;
        let again = plain(give(&*other, &fact, 1, &*history).await);
        assert_eq!(again, first, "{fact:?}, in another process");
    }
}

/// Where the history cannot be read, a fact that needs it is put off: neither taken as if nothing
/// were to be done, nor rejected.
pub async fn an_unavailable_history_is_a_retry(bench: &impl HookBench) {
    let history = of_samples().await;
    for fact in facts().await {
        let known = plain(give(&*bench.open().await, &fact, 0, &*history).await);
        let hook = bench.open().await;
        let blind = plain(give(&*hook, &fact, 0, &Unavailable).await);
        if blind != Err("put off".into()) {
            assert_eq!(
                blind, known,
                "{fact:?} needs the history, and is not put off"
            );
        }
        let again = plain(give(&*hook, &fact, 1, &*history).await);
        assert_eq!(again, known, "{fact:?}, once the history can be read");
    }
}

/// "`id` is minted by the hook": one for each build that it asks for; limits are some.
pub async fn what_it_asks_for_can_be_done(bench: &impl HookBench) {
    let history = of_samples().await;
    let hook = bench.open().await;
    assert!(!KNOWN.is_empty(), "there are facts");
    for fact in facts().await {
        let Ok(requests) = give(&*hook, &fact, 0, &*history).await else {
            continue;
        };
        let mut ids = BTreeSet::new();
        for request in requests {
            let Request::Build(spec) = request else {
                continue;
            };
            assert!(!spec.id.0.is_nil(), "{fact:?}: a build without an id");
            assert_ne!(fact.fact.build(), Some(spec.id), "the id of another build");
            assert!(ids.insert(spec.id), "{fact:?}: two builds of one id");
            assert!(spec.limits.timeout_ms > 0, "{fact:?}: no time to build");
            assert!(
                spec.limits.max_silent_ms > 0,
                "{fact:?}: no time to be silent"
            );
        }
    }
}

/// What is not delivered makes no difference: to what it does not want it would have said nothing.
pub async fn what_it_does_not_want_it_asks_nothing_for(bench: &impl HookBench) {
    let history = of_samples().await;
    let hook = bench.open().await;
    let facts = facts().await;
    // If it cannot say, then all are delivered.
    let Ok(wanted) = hook.wants(&facts, &*history).await else {
        return;
    };
    assert_eq!(wanted.len(), facts.len(), "one answer for each");
    for (fact, wanted) in facts.iter().zip(wanted) {
        if !wanted {
            let answer = plain(give(&*hook, fact, 0, &*history).await);
            assert_eq!(answer, Ok(Vec::new()), "{fact:?}");
        }
    }
}
