//! Giving a hook the journal, fact by fact.
//!
//! What a hook asks for is committed together with its cursor: after a crash it is either done, and
//! the hook never sees the fact again, or not, and it sees the fact again.

use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::Input;
use grange_fail_points::{Point, reach};
use grange_interfaces::{Delivery, Hook, HookError, Refusal, Request, Stop};
use grange_model::{
    BuildId, BuildSpec, Cause, DeadLetter, FactNumber, FinishedBuild, HookRecord, Key,
    NumberedFact, Record,
};

use crate::convert::store_refusal;
use crate::handle::Handle;
use crate::shared::Shared;
use crate::upstream;

/// How many hooks may stand between a person's request and a build.
const MAX_DEPTH: u8 = 16;
/// How many facts are read at once.
const PAGE: usize = 500;
/// How many facts a hook may be given again after a crash.
const MAX_AGAIN: u64 = 1_000;
/// How long a cursor that only moved on waits for more facts before it is written.
const LINGER: Duration = Duration::from_secs(1);
/// How long after a page the next one is read: facts that come meanwhile are read together.
const PACE: Duration = Duration::from_millis(100);
/// How many dead letters are kept.
const MAX_DEAD_LETTERS: usize = 1_000;

/// Runs until the coordinator stops.
pub(crate) async fn run(
    shared: Arc<Shared>,
    handle: Handle,
    hook: Arc<dyn Hook>,
    known: Option<HookRecord>,
    now: FactNumber,
    stop: Stop,
) {
    let durable = known.as_ref().map(|record| record.cursor);
    // A hook that is new hears of what happens from now on.
    let record = known.unwrap_or_else(|| HookRecord {
        name: hook.name().to_owned(),
        cursor: now,
        dead_letters: Vec::new(),
    });
    let follower = Follower {
        shared,
        handle,
        hook,
        record,
        durable,
    };
    tokio::select! {
        () = stop.stopped() => {}
        () = follower.follow() => {}
    }
}

struct Follower {
    shared: Arc<Shared>,
    handle: Handle,
    hook: Arc<dyn Hook>,
    record: HookRecord,
    /// The cursor that is durable. None for a hook that was never here: what happens from now on
    /// must not be lost to it.
    durable: Option<FactNumber>,
}

impl Follower {
    async fn follow(mut self) {
        let mut newest = self.shared.facts();
        let mut wait = Duration::from_millis(100);
        loop {
            let idle = *newest.borrow_and_update() <= self.record.cursor;
            let taken = if self.durable.is_none() {
                self.save().await
            } else if !idle {
                self.take_page().await
            } else if self.durable == Some(self.record.cursor) {
                match newest.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            } else {
                // A cursor that only moved on is worth no commit of its own while more comes.
                tokio::select! {
                    changed = newest.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                    () = self.shared.clock.sleep(LINGER) => self.save().await,
                }
            };
            match taken {
                Ok(()) => wait = Duration::from_millis(100),
                Err(refusal) => {
                    tracing::warn!(hook = self.hook.name(), %refusal, "the journal is read again later");
                    self.shared.clock.sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(30));
                }
            }
        }
    }

    async fn take_page(&mut self) -> Result<(), Refusal> {
        let facts = self
            .shared
            .datastore
            .facts(self.record.cursor, PAGE)
            .await
            .map_err(store_refusal)?;
        let more = facts.more;
        let count = facts.entries.len();
        let wanted = self.hook.wants(&facts.entries, &*self.shared.datastore);
        let wanted = match wanted.await {
            Ok(wanted) if wanted.len() == count => wanted,
            other => {
                let hook = self.hook.name();
                let why = other.map_or_else(
                    |error| error.to_string(),
                    |some| format!("{} answers", some.len()),
                );
                tracing::warn!(
                    hook,
                    count,
                    why,
                    "the hook does not say which facts it wants, and gets all"
                );
                vec![true; count]
            }
        };
        for (fact, wanted) in facts.entries.into_iter().zip(wanted) {
            let number = fact.number;
            if !wanted {
                self.record.cursor = number;
                continue;
            }
            let (requests, letter) = self.deliver(fact).await?;
            if requests.is_empty() && letter.is_none() {
                self.record.cursor = number;
                continue;
            }
            let mut record = self.record.clone();
            record.cursor = number;
            record.dead_letters.extend(letter);
            let excess = record.dead_letters.len().saturating_sub(MAX_DEAD_LETTERS);
            record.dead_letters.drain(..excess);
            // Only what is committed counts: otherwise the fact is delivered again.
            self.commit(record.clone(), requests).await?;
            self.durable = Some(record.cursor);
            self.record = record;
        }
        let durable = self.durable.unwrap_or_default();
        if self.record.cursor.0 - durable.0 >= MAX_AGAIN {
            self.save().await?;
        }
        if !more {
            self.shared.clock.sleep(PACE).await;
        }
        Ok(())
    }

    /// Makes the cursor durable.
    async fn save(&mut self) -> Result<(), Refusal> {
        self.commit(self.record.clone(), Vec::new()).await?;
        self.durable = Some(self.record.cursor);
        Ok(())
    }

    /// Delivers a fact until the hook takes or rejects it.
    async fn deliver(
        &self,
        fact: NumberedFact,
    ) -> Result<(Vec<Request>, Option<DeadLetter>), Refusal> {
        let number = fact.number;
        let build = fact.fact.build();
        let held_back = |letter: &DeadLetter| build.is_some() && letter.build == build;
        if self.record.dead_letters.iter().any(held_back) {
            return Ok((Vec::new(), None));
        }
        let letter = |message| DeadLetter {
            fact: number,
            build,
            message,
            at: self.shared.clock.now(),
        };
        let mut delivery = Delivery { fact, tries: 0 };
        let mut wait = Duration::from_millis(100);
        loop {
            match self.hook.deliver(&delivery, &*self.shared.datastore).await {
                Ok(requests) if requests.is_empty() => return Ok((requests, None)),
                Ok(requests) => {
                    let depth = match build {
                        Some(build) => self.depth(build).await?,
                        None => 0,
                    };
                    if depth >= MAX_DEPTH {
                        let message =
                            format!("more than {MAX_DEPTH} hooks in a row asked for builds");
                        return Ok((Vec::new(), Some(letter(message))));
                    }
                    return Ok((self.with_cause(requests, depth + 1), None));
                }
                Err(HookError::Reject(message)) => return Ok((Vec::new(), Some(letter(message)))),
                Err(HookError::Retry(why)) => {
                    tracing::warn!(
                        hook = self.hook.name(),
                        why,
                        "the hook is given the fact again"
                    );
                    self.shared.clock.sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_mins(1));
                    delivery.tries += 1;
                }
            }
        }
    }

    fn with_cause(&self, requests: Vec<Request>, depth: u8) -> Vec<Request> {
        let cause = |spec| {
            let hook = self.hook.name().to_owned();
            Request::Build(BuildSpec {
                cause: Some(Cause { hook, depth }),
                ..spec
            })
        };
        let with = |request| match request {
            Request::Build(spec) => cause(spec),
            other => other,
        };
        requests.into_iter().map(with).collect()
    }

    /// How many hooks stand behind a build already.
    async fn depth(&self, build: BuildId) -> Result<u8, Refusal> {
        let live = self
            .handle
            .observe(move |core| core.build(build).map(|build| build.record.spec))
            .await?;
        let spec = match live {
            Some(spec) => Some(spec),
            None => self
                .finished(build)
                .await?
                .map(|finished| finished.build.spec),
        };
        Ok(spec
            .and_then(|spec| spec.cause)
            .map_or(0, |cause| cause.depth))
    }

    async fn finished(&self, build: BuildId) -> Result<Option<FinishedBuild>, Refusal> {
        let found = self
            .shared
            .datastore
            .get(&[Key::Finished(build)])
            .await
            .map_err(store_refusal)?;
        Ok(found.into_iter().flatten().find_map(|record| match record {
            Record::Finished(finished) => Some(finished),
            _ => None,
        }))
    }

    async fn commit(&self, record: HookRecord, requests: Vec<Request>) -> Result<(), Refusal> {
        let mut builds = Vec::new();
        let mut reopen = Vec::new();
        for request in requests {
            match request {
                Request::Build(spec) => builds.push(spec),
                Request::Reopen(build) => reopen.extend(self.finished(build).await?),
                _ => {}
            }
        }
        upstream::seek(&self.shared, &self.handle, &builds).await?;
        let input = move |ticket| Input::Hook {
            ticket,
            record,
            builds,
            reopen,
        };
        reach(Point::HookDelivered);
        self.handle.request(input).await?;
        Ok(())
    }
}
