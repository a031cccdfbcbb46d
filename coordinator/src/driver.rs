//! The one task that owns the core.
//!
//! It hands in what comes, then does what the core says. A commit is under way beside it: what comes
//! meanwhile goes into the next one, so that under load one commit serves many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grange_coordinator_core::{Core, Effect, Input, LookupId, Reply, Ticket};
use grange_interfaces::{Stop, StoreError};
use grange_model::{Batch, Key, Record, Seq, Term, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use crate::available;
use crate::handle::{Command, Stopped};
use crate::shared::Shared;
use crate::steady::Steady;

/// How many commands are handed in before effects are looked at.
const BURST: usize = 512;

/// What comes back from work beside the driver.
enum Done {
    Committed(Seq),
    Found(LookupId, Vec<Option<Record>>),
    Failed(StoreError),
}

pub(crate) struct Driver {
    core: Core,
    term: Term,
    shared: Arc<Shared>,
    time: Steady,
    commands: mpsc::Receiver<Command>,
    done: mpsc::UnboundedReceiver<Done>,
    tell_done: mpsc::UnboundedSender<Done>,
    answers: HashMap<Ticket, oneshot::Sender<Reply>>,
    next_ticket: u64,
    ended: watch::Sender<Option<Stopped>>,
}

impl Driver {
    pub(crate) fn new(
        core: Core,
        term: Term,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        ended: watch::Sender<Option<Stopped>>,
    ) -> Self {
        let (tell_done, done) = mpsc::unbounded_channel();
        Self {
            core,
            term,
            time: Steady::new(shared.clock.now()),
            shared,
            commands,
            done,
            tell_done,
            answers: HashMap::new(),
            next_ticket: 0,
            ended,
        }
    }

    /// Runs until it is told to stop or the Datastore is lost.
    pub(crate) async fn run(mut self, stop: Stop) -> Stopped {
        let stopped = self.drive(stop).await;
        if let Stopped::Datastore(error) = &stopped {
            tracing::error!(%error, "the coordinator ends: its datastore cannot be used any more");
        }
        self.ended.send_replace(Some(stopped.clone()));
        stopped
    }

    fn now(&mut self) -> Timestamp {
        self.time.now(self.shared.clock.now(), Instant::now())
    }

    async fn drive(&mut self, stop: Stop) -> Stopped {
        let mut stopped = std::pin::pin!(stop.stopped());
        loop {
            self.do_effects();
            let now = self.now();
            let wake = self.core.poll_timeout().map(|(at, _)| at.since(now));
            let clock = Arc::clone(&self.shared.clock);
            let sleep = async move {
                match wake {
                    Some(duration) if duration.is_zero() => {}
                    Some(duration) => clock.sleep(duration.min(Duration::from_secs(60))).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut stopped => return Stopped::Asked,
                Some(done) = self.done.recv() => {
                    if let Err(error) = self.take(done) {
                        return Stopped::Datastore(error);
                    }
                }
                command = self.commands.recv() => {
                    let Some(command) = command else { return Stopped::Asked };
                    self.hand_in(command);
                    for _ in 1..BURST {
                        let Ok(command) = self.commands.try_recv() else { break };
                        self.hand_in(command);
                    }
                }
                () = sleep => {
                    let now = self.now();
                    self.core.handle_timeout(now);
                }
            }
        }
    }

    fn hand_in(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Input(input, answer) => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.answers.insert(ticket, answer);
                self.core.handle(now, input(ticket));
            }
            Command::Forget(ticket) => {
                self.answers.remove(&ticket);
                self.core.handle(now, Input::Forget { ticket });
            }
            Command::Observe(look) => look(&self.core),
        }
    }

    fn take(&mut self, done: Done) -> Result<(), StoreError> {
        let now = self.now();
        match done {
            Done::Committed(seq) => self.core.handle(now, Input::Committed { seq }),
            Done::Found(lookup, records) => self.core.handle(now, Input::Found { lookup, records }),
            Done::Failed(error) => return Err(error),
        }
        Ok(())
    }

    fn do_effects(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Commit { seq, batch } => {
                    let commit = commit(Arc::clone(&self.shared), self.term, seq, batch);
                    let tell_done = self.tell_done.clone();
                    tokio::spawn(async move {
                        // If the driver has ended, nobody needs to know.
                        let _ = tell_done.send(commit.await);
                    });
                }
                Effect::Lookup { lookup, keys } => {
                    let shared = Arc::clone(&self.shared);
                    let tell_done = self.tell_done.clone();
                    tokio::spawn(async move {
                        let _ = tell_done.send(look_up(&shared, lookup, &keys).await);
                    });
                }
                Effect::Reply { ticket, reply } => {
                    if let Some(answer) = self.answers.remove(&ticket) {
                        // Whoever asked may have gone; what was decided stands.
                        let _ = answer.send(reply);
                    }
                }
            }
        }
    }
}

/// Commits, and tries again as long as that may help: a commit that may have been written is written
/// once, however often it is tried.
async fn commit(shared: Arc<Shared>, term: Term, seq: Seq, batch: Arc<Batch>) -> Done {
    let mut wait = Duration::from_millis(20);
    loop {
        match shared.datastore.commit(term, seq, Arc::clone(&batch)).await {
            Ok(()) => {
                shared.committed(&batch);
                return Done::Committed(seq);
            }
            Err(StoreError::Unavailable(why)) => {
                tracing::warn!(seq = seq.0, why, "the commit is tried again");
                shared.clock.sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
            Err(error) => return Done::Failed(error),
        }
    }
}

async fn look_up(shared: &Shared, lookup: LookupId, keys: &[Key]) -> Done {
    let mut wait = Duration::from_millis(20);
    loop {
        match available::get(&*shared.datastore, keys).await {
            Ok(records) => return Done::Found(lookup, records),
            Err(StoreError::Unavailable(why)) => {
                tracing::warn!(why, "the look-up is tried again");
                shared.clock.sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
            Err(error) => return Done::Failed(error),
        }
    }
}
