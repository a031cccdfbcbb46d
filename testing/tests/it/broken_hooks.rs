//! Each of these is a hook as embedders write them by mistake, and the case for that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use grange_interfaces::{Delivery, History, Hook, HookError, Request};
use grange_model::{BuildId, BuildSpec, Fact, Key, Limits, NumberedFact};
use grange_testing::conformance::HookBench;
use grange_testing::sample;
use uuid::Uuid;

/// What is wrong with a hook.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Calls itself nothing.
    HasNoName,
    /// Calls itself otherwise after a while.
    ChangesItsName,
    /// Calls itself otherwise in each process.
    IsAnotherEachTime,
    /// Panics on facts that it does not care for.
    Panics,
    /// Never answers what it does not care for.
    Blocks,
    /// Puts off for ever what it does not care for.
    NeverTakes,
    /// Puts off for ever what it could take.
    NeverTakesKnown,
    /// Panics where a derivation is not known any more.
    ExpectsDerivations,
    /// Puts off for ever what is not known any more.
    WaitsForDerivations,
    /// Remembers what it was given, and does nothing the second time.
    Remembers,
    /// Asks only where nothing was tried before.
    AsksOnce,
    /// Asks for what the process has counted so far.
    Counts,
    /// Asks for something else in each process.
    CountsProcesses,
    /// Panics where the history cannot be read.
    ExpectsHistories,
    /// Takes a history that it cannot read for one with nothing in it.
    SwallowsErrors,
    /// Rejects what it cannot look up now.
    RejectsErrors,
    /// Asks for builds without ids.
    MintsNothing,
    /// Asks for two builds of one id.
    MintsOnce,
    /// Asks for a build of the id of the one that failed.
    ReusesIds,
    /// Does not want what it would ask for builds for.
    WantsTooLittle,
    /// Gives builds no time.
    GivesNoTime,
}

/// Asks for a build of the derivation of each build that failed.
#[derive(Debug)]
struct Broken {
    defect: Defect,
    name: String,
    opened: u32,
    given: AtomicU32,
}

struct Bench(Defect, AtomicU32);

impl HookBench for Bench {
    async fn open(&self) -> Arc<dyn Hook> {
        let opened = self.1.fetch_add(1, Ordering::SeqCst);
        let name = match self.0 {
            Defect::HasNoName => String::new(),
            Defect::IsAnotherEachTime => format!("again-{opened}"),
            _ => "again".into(),
        };
        let first = if self.0 == Defect::Counts { opened } else { 0 };
        Arc::new(Broken {
            defect: self.0,
            name,
            opened,
            given: AtomicU32::new(first),
        })
    }
}

#[async_trait]
impl Hook for Broken {
    fn name(&self) -> &str {
        match self.given.load(Ordering::SeqCst) {
            9.. if self.defect == Defect::ChangesItsName => "again-and-again",
            _ => &self.name,
        }
    }

    async fn wants(&self, facts: &[NumberedFact], _: &dyn History) -> Result<Vec<bool>, HookError> {
        let all = self.defect != Defect::WantsTooLittle;
        let wants = |fact: &NumberedFact| all || !matches!(fact.fact, Fact::Ended { .. });
        Ok(facts.iter().map(wants).collect())
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        history: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        let given = self.given.fetch_add(1, Ordering::SeqCst);
        let Fact::Ended {
            build, derivation, ..
        } = delivery.fact.fact
        else {
            match self.defect {
                Defect::Panics => panic!("what is {delivery:?}?"),
                Defect::Blocks => std::future::pending::<()>().await,
                Defect::NeverTakes => return Err(HookError::Retry("not that".into())),
                _ => {}
            }
            return Ok(Vec::new());
        };
        let known = match history.get(&[Key::Derivation(derivation)]).await {
            Ok(found) => found.into_iter().flatten().next().is_some(),
            Err(_) if self.defect == Defect::SwallowsErrors => false,
            Err(error) if self.defect == Defect::ExpectsHistories => panic!("{error}"),
            Err(error) if self.defect == Defect::RejectsErrors => {
                return Err(HookError::Reject(error.to_string()));
            }
            Err(error) => return Err(HookError::Retry(error.to_string())),
        };
        match self.defect {
            Defect::ExpectsDerivations => assert!(known, "the derivation is there"),
            Defect::NeverTakesKnown if known => {
                return Err(HookError::Retry("not that".into()));
            }
            Defect::WaitsForDerivations if !known => {
                return Err(HookError::Retry("it may come back".into()));
            }
            Defect::Remembers if given > 20 => return Ok(Vec::new()),
            Defect::AsksOnce if delivery.tries > 0 => return Ok(Vec::new()),
            _ => {}
        }
        if !known {
            return Ok(Vec::new());
        }
        let id = match self.defect {
            Defect::MintsNothing => BuildId(Uuid::nil()),
            Defect::ReusesIds => build,
            _ => BuildId(Uuid::new_v4()),
        };
        let mut spec = BuildSpec {
            id,
            derivation,
            ..sample::spec(1, 1)
        };
        match self.defect {
            Defect::GivesNoTime => {
                spec.limits = Limits {
                    timeout_ms: 0,
                    max_silent_ms: 0,
                };
            }
            Defect::Counts => spec.priority = given as i32,
            Defect::CountsProcesses => spec.priority = self.opened as i32,
            _ => {}
        }
        let mut requests = vec![Request::Build(spec.clone())];
        if self.defect == Defect::MintsOnce {
            requests.push(Request::Build(spec));
        }
        Ok(requests)
    }
}

crate::found! {
    hook, |defect| Bench(defect, AtomicU32::new(0));
    none: None => [];
    a_fact_that_it_should_want: WantsTooLittle => [what_it_does_not_want_it_asks_nothing_for];
    a_name_that_is_none: HasNoName => [its_name_stays];
    a_name_that_changes: ChangesItsName => [its_name_stays];
    a_name_for_each_process: IsAnotherEachTime => [its_name_stays];
    a_panic: Panics => [
        facts_of_all_kinds_are_answered,
        its_name_stays,
        what_is_not_known_is_answered,
        a_fact_that_comes_again_is_answered_again,
        a_new_process_answers_the_same,
        an_unavailable_history_is_a_retry,
        what_it_asks_for_can_be_done,
    ];
    a_fact_that_is_never_answered: Blocks => [
        facts_of_all_kinds_are_answered,
        its_name_stays,
        what_is_not_known_is_answered,
        a_fact_that_comes_again_is_answered_again,
        a_new_process_answers_the_same,
        an_unavailable_history_is_a_retry,
        what_it_asks_for_can_be_done,
    ];
    a_fact_that_is_never_taken: NeverTakes => [
        facts_of_all_kinds_are_answered,
        what_is_not_known_is_answered,
    ];
    a_known_fact_that_is_never_taken: NeverTakesKnown => [facts_of_all_kinds_are_answered];
    an_unknown_derivation: ExpectsDerivations => [what_is_not_known_is_answered];
    an_endless_wait: WaitsForDerivations => [what_is_not_known_is_answered];
    a_memory: Remembers => [
        a_fact_that_comes_again_is_answered_again,
        a_new_process_answers_the_same,
    ];
    a_second_try_that_is_not_answered: AsksOnce => [
        a_fact_that_comes_again_is_answered_again,
        a_new_process_answers_the_same,
        an_unavailable_history_is_a_retry,
    ];
    a_count: Counts => [
        a_fact_that_comes_again_is_answered_again,
        a_new_process_answers_the_same,
        an_unavailable_history_is_a_retry,
    ];
    a_count_of_processes: CountsProcesses => [
        a_new_process_answers_the_same,
        an_unavailable_history_is_a_retry,
    ];
    a_panic_without_a_history: ExpectsHistories => [an_unavailable_history_is_a_retry];
    a_swallowed_error: SwallowsErrors => [an_unavailable_history_is_a_retry];
    a_rejected_error: RejectsErrors => [an_unavailable_history_is_a_retry];
    a_missing_id: MintsNothing => [what_it_asks_for_can_be_done];
    an_id_that_comes_twice: MintsOnce => [what_it_asks_for_can_be_done];
    the_id_of_another_build: ReusesIds => [what_it_asks_for_can_be_done];
    no_time: GivesNoTime => [what_it_asks_for_can_be_done];
}
