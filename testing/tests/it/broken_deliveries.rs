//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{join, join_all};
use grange_interfaces::{Claim, Datastore, Delivery, History, Hook, HookError, Request};
use grange_model::{
    Batch, BuildId, BuildSpec, BuildState, Cause, Change, DeadLetter, Fact, FactNumber, HookRecord,
    Key, NumberedFact, Record, Seq, Term, Timestamp,
};
use grange_testing::conformance::{DeliveryBench, Farm};
use grange_testing::{MemoryDatastore, sample};

/// What is wrong with what delivers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Gives the newest fact first.
    Reorders,
    /// Gives each fact twice at once.
    GivesAtOnce,
    /// Gives hooks a history with nothing in it.
    GivesOtherHistories,
    /// Gives facts before they are written.
    GivesFirst,
    /// Leaves out every third fact.
    Skips,
    /// Says of every fact that it was tried once more than it was.
    CountsFromOne,
    /// Never says that a fact was tried before.
    ForgetsTries,
    /// Takes a fact that was put off for one that was taken.
    ForgetsRetries,
    /// Takes a rejected fact for one that was taken.
    ForgetsLetters,
    /// Gives facts about a build of which one was rejected.
    HoldsNothingBack,
    /// Gives a hook nothing more once it has rejected a fact.
    HoldsAllBack,
    /// Begins with what happens now after a crash.
    BeginsNow,
    /// Begins with the first fact after a crash.
    BeginsAnew,
    /// Says that a fact was taken before it is.
    AcknowledgesFirst,
    /// Commits what was asked for without the cursor.
    CommitsApart,
    /// Forgets what was asked for.
    ForgetsRequests,
    /// Does not say which hook asked.
    ForgetsCauses,
    /// Lets hooks ask without end.
    NeverEnds,
    /// Waits for one hook before it gives others anything.
    WaitsForAll,
    /// Ends with the first hook that panics.
    PanicsWithThem,
    /// Gives hooks what they do not want, too.
    AsksNobody,
    /// Gives hooks that do not say what they want nothing.
    GivesNothing,
}

/// What a hook asked for, by id; survives crashes with the store.
type Specs = Arc<Mutex<BTreeMap<BuildId, BuildSpec>>>;

struct Bench {
    defect: Defect,
    datastore: Mutex<Arc<MemoryDatastore>>,
    specs: Specs,
}

impl Bench {
    fn new(defect: Defect) -> Self {
        Self {
            defect,
            datastore: Mutex::new(Arc::new(MemoryDatastore::new())),
            specs: Specs::default(),
        }
    }
}

/// Writes commits one after the other.
struct Journal {
    defect: Defect,
    datastore: Arc<MemoryDatastore>,
    /// What is to be written.
    early: Mutex<Vec<NumberedFact>>,
    place: tokio::sync::Mutex<(Term, Seq, FactNumber)>,
}

impl Journal {
    async fn commit(&self, facts: Vec<Fact>, changes: Vec<Change>) {
        let mut place = self.place.lock().await;
        let (term, seq, fact) = *place;
        let count = facts.len() as u64;
        let batch = Batch {
            at: Timestamp(seq.0),
            first_fact: FactNumber(fact.0 + 1),
            facts,
            changes,
        };
        if self.defect == Defect::GivesFirst {
            self.early.lock().unwrap().extend(batch.numbered_facts());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let done = self.datastore.commit(term, seq.next(), Arc::new(batch));
        if done.await.is_err() {
            // It was killed.
            std::future::pending::<()>().await;
        }
        *place = (term, seq.next(), FactNumber(fact.0 + count));
    }
}

struct Running {
    journal: Arc<Journal>,
    specs: Specs,
    tasks: Vec<tokio::task::AbortHandle>,
}

impl DeliveryBench for Bench {
    async fn start(&self, hooks: Vec<Arc<dyn Hook>>) -> Box<dyn Farm> {
        let datastore = {
            let mut datastore = self.datastore.lock().unwrap();
            *datastore = Arc::new(datastore.reopen());
            Arc::clone(&datastore)
        };
        let claimed = datastore.claim(Claim::Exclusive).await.unwrap();
        let place = (claimed.term, claimed.seq, claimed.fact);
        let journal = Arc::new(Journal {
            defect: self.defect,
            early: Mutex::default(),
            datastore: Arc::clone(&datastore),
            place: tokio::sync::Mutex::new(place),
        });
        let mut followers = Vec::new();
        for hook in hooks {
            let key = Key::Hook(hook.name().to_owned());
            let known = datastore.get(&[key]).await.unwrap().remove(0);
            let mut record = match known {
                Some(Record::Hook(record)) => record,
                _ => HookRecord {
                    name: hook.name().to_owned(),
                    cursor: claimed.fact,
                    dead_letters: Vec::new(),
                },
            };
            match self.defect {
                Defect::BeginsNow => record.cursor = claimed.fact,
                Defect::BeginsAnew => record.cursor = FactNumber(0),
                _ => {}
            }
            let put = vec![Change::Put(Record::Hook(record.clone()))];
            journal.commit(Vec::new(), put).await;
            followers.push(Follower {
                defect: self.defect,
                journal: Arc::clone(&journal),
                specs: Arc::clone(&self.specs),
                hook,
                record,
            });
        }
        let mut tasks = Vec::new();
        match self.defect {
            Defect::WaitsForAll => {
                let all = async move {
                    loop {
                        for follower in &mut followers {
                            follower.take_page().await;
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                };
                tasks.push(tokio::spawn(all).abort_handle());
            }
            Defect::PanicsWithThem => {
                let all = join_all(followers.into_iter().map(Follower::follow));
                tasks.push(tokio::spawn(all).abort_handle());
            }
            _ => {
                let run = |follower: Follower| tokio::spawn(follower.follow()).abort_handle();
                tasks.extend(followers.into_iter().map(run));
            }
        }
        Box::new(Running {
            journal,
            specs: Arc::clone(&self.specs),
            tasks,
        })
    }
}

#[async_trait]
impl Farm for Running {
    async fn submit(&self, builds: &[BuildId]) {
        let submitted = |build: &BuildId| Fact::Submitted {
            build: *build,
            derivation: sample::digest(1),
            implicit: false,
        };
        let facts = builds.iter().map(submitted).collect();
        self.journal.commit(facts, Vec::new()).await;
    }

    async fn cancel(&self, builds: &[BuildId]) {
        let (mut facts, mut changes) = (Vec::new(), Vec::new());
        for build in builds {
            let mut finished = sample::finished(1, 1, BuildState::Canceled);
            let asked = self.specs.lock().unwrap().get(build).cloned();
            finished.build.spec = asked.unwrap_or(finished.build.spec);
            finished.build.spec.id = *build;
            facts.push(Fact::Ended {
                build: *build,
                derivation: sample::digest(1),
                state: BuildState::Canceled,
            });
            changes.push(Change::Put(Record::Finished(finished)));
        }
        self.journal.commit(facts, changes).await;
    }

    fn history(&self) -> Arc<dyn History> {
        Arc::clone(&self.journal.datastore) as _
    }

    async fn kill(self: Box<Self>) {
        drop(self.journal.datastore.reopen());
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Gives one hook its facts.
struct Follower {
    defect: Defect,
    journal: Arc<Journal>,
    specs: Specs,
    hook: Arc<dyn Hook>,
    record: HookRecord,
}

impl Follower {
    async fn follow(mut self) {
        loop {
            self.take_page().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn take_page(&mut self) {
        let page = self.journal.datastore.facts(self.record.cursor, 100).await;
        let Ok(mut page) = page else {
            return;
        };
        let known = page
            .entries
            .last()
            .map_or(self.record.cursor, |it| it.number);
        let early = self.journal.early.lock().unwrap().clone().into_iter();
        page.entries
            .extend(early.filter(|fact| fact.number > known));
        let last = page.entries.last().map(|fact| fact.number);
        if self.defect == Defect::Reorders {
            page.entries.reverse();
        }
        let count = page.entries.len();
        let datastore = Arc::clone(&self.journal.datastore);
        let wanted = self.hook.wants(&page.entries, &*datastore).await;
        let wanted = wanted.ok().filter(|wanted| wanted.len() == count);
        let wanted = match self.defect {
            Defect::AsksNobody => None,
            Defect::GivesNothing => Some(wanted.unwrap_or_else(|| vec![false; count])),
            _ => wanted,
        };
        let wanted = wanted.unwrap_or_else(|| vec![true; count]);
        for (fact, wanted) in page.entries.into_iter().zip(wanted) {
            if wanted {
                self.take(fact).await;
            }
        }
        self.record.cursor = last.unwrap_or(self.record.cursor);
    }

    async fn save(&self, facts: Vec<Fact>) {
        let record = Record::Hook(self.record.clone());
        self.journal.commit(facts, vec![Change::Put(record)]).await;
    }

    async fn take(&mut self, fact: NumberedFact) {
        let (number, build) = (fact.number, fact.fact.build());
        let letters = &self.record.dead_letters;
        let held = letters.iter().any(|letter| letter.build == build);
        let held = match self.defect {
            Defect::HoldsNothingBack => false,
            Defect::HoldsAllBack => !letters.is_empty(),
            _ => held,
        };
        if held || (self.defect == Defect::Skips && number.0.is_multiple_of(3)) {
            self.record.cursor = number;
            return;
        }
        let before = self.record.cursor;
        self.record.cursor = number;
        if self.defect == Defect::AcknowledgesFirst {
            self.save(Vec::new()).await;
        }
        match self.deliver(fact).await {
            Ok(requests) if requests.is_empty() => {}
            Ok(requests) => {
                let depth = self.depth(build);
                if depth >= 16 && self.defect != Defect::NeverEnds {
                    self.bury(number, build, "too many in a row").await;
                    return;
                }
                let mut facts = Vec::new();
                for request in requests {
                    let Request::Build(mut spec) = request else {
                        continue;
                    };
                    if self.defect != Defect::ForgetsCauses {
                        let hook = self.record.name.clone();
                        spec.cause = Some(Cause {
                            hook,
                            depth: depth + 1,
                        });
                    }
                    facts.push(Fact::Submitted {
                        build: spec.id,
                        derivation: spec.derivation,
                        implicit: false,
                    });
                    self.specs.lock().unwrap().insert(spec.id, spec);
                }
                match self.defect {
                    Defect::ForgetsRequests => self.save(Vec::new()).await,
                    Defect::CommitsApart => {
                        self.record.cursor = before;
                        self.journal.commit(facts, Vec::new()).await;
                        self.record.cursor = number;
                    }
                    _ => self.save(facts).await,
                }
            }
            Err(message) => self.bury(number, build, &message).await,
        }
    }

    async fn bury(&mut self, fact: FactNumber, build: Option<BuildId>, message: &str) {
        if self.defect == Defect::ForgetsLetters {
            return;
        }
        self.record.dead_letters.push(DeadLetter {
            fact,
            build,
            message: message.to_owned(),
            at: Timestamp(0),
        });
        self.save(Vec::new()).await;
    }

    fn depth(&self, build: Option<BuildId>) -> u8 {
        let specs = self.specs.lock().unwrap();
        let spec = build.and_then(|build| specs.get(&build));
        spec.and_then(|spec| spec.cause.as_ref())
            .map_or(0, |cause| cause.depth)
    }

    async fn deliver(&self, fact: NumberedFact) -> Result<Vec<Request>, String> {
        let nothing = MemoryDatastore::new();
        let history: &dyn History = match self.defect {
            Defect::GivesOtherHistories => &nothing,
            _ => &*self.journal.datastore,
        };
        let tries = u32::from(self.defect == Defect::CountsFromOne);
        let mut delivery = Delivery { fact, tries };
        loop {
            let once = self.hook.deliver(&delivery, history);
            let answer = match self.defect {
                Defect::GivesAtOnce => {
                    let twice = self.hook.deliver(&delivery, history);
                    join(once, twice).await.0
                }
                _ => once.await,
            };
            match answer {
                Ok(requests) => return Ok(requests),
                Err(HookError::Reject(message)) => return Err(message),
                Err(HookError::Retry(_)) if self.defect == Defect::ForgetsRetries => {
                    return Ok(Vec::new());
                }
                Err(HookError::Retry(_)) => {}
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            delivery.tries += u32::from(self.defect != Defect::ForgetsTries);
        }
    }
}

crate::found! {
    delivery, |defect| Bench::new(defect);
    none: None => [];
    another_order: Reorders => [
        facts_come_in_order_and_one_at_a_time,
        a_retried_fact_comes_again_before_others,
        a_rejected_fact_holds_back_its_build,
        what_was_not_taken_comes_after_a_crash,
        requests_are_done_once,
    ];
    two_facts_at_once: GivesAtOnce => [
        facts_come_in_order_and_one_at_a_time,
        a_retried_fact_comes_again_before_others,
        a_rejected_fact_holds_back_its_build,
        what_was_not_taken_comes_after_a_crash,
        a_cursor_survives_a_crash,
        requests_say_their_cause,
        hooks_in_a_row_end,
        a_hook_that_blocks_holds_nothing_up,
        a_hook_that_panics_takes_nobody_along,
    ];
    another_history: GivesOtherHistories => [facts_are_written_before_they_come];
    a_fact_that_comes_too_early: GivesFirst => [facts_are_written_before_they_come];
    a_try_too_many: CountsFromOne => [
        facts_come_in_order_and_one_at_a_time,
        a_retried_fact_comes_again_before_others,
    ];
    skipped_facts: Skips => [
        facts_come_in_order_and_one_at_a_time,
        facts_are_written_before_they_come,
        a_retried_fact_comes_again_before_others,
        a_rejected_fact_holds_back_its_build,
        what_was_not_taken_comes_after_a_crash,
        a_cursor_survives_a_crash,
        requests_are_done_once,
        hooks_in_a_row_end,
        a_hook_that_blocks_holds_nothing_up,
        a_hook_that_panics_takes_nobody_along,
        a_hook_that_does_not_say_what_it_wants_gets_all,
    ];
    forgotten_tries: ForgetsTries => [a_retried_fact_comes_again_before_others];
    forgotten_retries: ForgetsRetries => [
        a_retried_fact_comes_again_before_others,
    ];
    forgotten_letters: ForgetsLetters => [
        a_rejected_fact_holds_back_its_build,
        hooks_in_a_row_end,
    ];
    facts_that_are_not_held_back: HoldsNothingBack => [a_rejected_fact_holds_back_its_build];
    facts_that_are_held_back: HoldsAllBack => [a_rejected_fact_holds_back_its_build];
    a_cursor_that_jumps: BeginsNow => [
        what_was_not_taken_comes_after_a_crash,
        requests_are_done_once,
    ];
    a_cursor_that_is_forgotten: BeginsAnew => [
        a_cursor_survives_a_crash,
        requests_are_done_once,
    ];
    a_fact_that_is_acknowledged_first: AcknowledgesFirst => [
        what_was_not_taken_comes_after_a_crash,
    ];
    a_cursor_apart: CommitsApart => [
        requests_are_done_once,
        a_cursor_survives_a_crash,
    ];
    a_forgotten_request: ForgetsRequests => [
        requests_are_done_once,
        a_cursor_survives_a_crash,
        requests_say_their_cause,
        hooks_in_a_row_end,
    ];
    a_forgotten_cause: ForgetsCauses => [
        requests_say_their_cause,
        hooks_in_a_row_end,
    ];
    hooks_without_end: NeverEnds => [hooks_in_a_row_end];
    a_hook_that_is_waited_for: WaitsForAll => [
        a_hook_that_blocks_holds_nothing_up,
        a_hook_that_panics_takes_nobody_along,
    ];
    a_panic_that_is_shared: PanicsWithThem => [a_hook_that_panics_takes_nobody_along];
    unwanted_facts: AsksNobody => [what_a_hook_does_not_want_does_not_come];
    a_hook_that_is_not_heard: GivesNothing => [a_hook_that_does_not_say_what_it_wants_gets_all];
}
