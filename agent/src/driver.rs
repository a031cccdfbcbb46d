//! Performs what the core decides.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use grange_agent_core::{
    Assignment, Core, Effect, End, Ending, Exchange, ExchangeFailure, Input, Settings,
};
use grange_interfaces::message::ExchangeAnswer;
use grange_interfaces::{Fault, Refusal, Stop, Stopper};
use grange_model::{AttemptId, Limits, SessionId};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use crate::calls::retry_after;
use crate::context::{AttemptEnd, Context};
use crate::exchange::{Capacities, assignment, exchange, refused};
use crate::shared::Shared;
use crate::spool::SpooledOutcome;
use crate::state_dir::StateDir;
use crate::status::StatusKeeper;
use crate::steps::{Problem, SetupFailure, StepError, build, prepare, report, upload};
use crate::{AgentError, AgentStatus};

/// What an agent's owner says and is told.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) stop: Stop,
    pub(crate) draining: Arc<Notify>,
    pub(crate) status: watch::Sender<Arc<AgentStatus>>,
}

/// One run of an agent.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    capacities: Capacities,
    state: StateDir,
    core: Core,
    works: BTreeMap<AttemptId, Work>,
    /// Attempts that are being closed.
    closing: JoinSet<()>,
    /// Directories of attempts that an earlier run did not finish. The first answer of the
    /// coordinator says which of them are still wanted.
    leftovers: Option<Vec<AttemptId>>,
    /// Whether there was an earlier run at all.
    ran_before: bool,
    /// What that answer assigns: an earlier run may have begun it.
    earlier: HashSet<AttemptId>,
    outside: Outside,
    status: StatusKeeper,
    sender: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
    /// The exchange under way, and the one before it, which is void: a coordinator answers that
    /// one soon, so that its connection can be used again, which were lost if it were broken off.
    exchanges: [Option<AbortOnDropHandle<()>>; 2],
    revision: u64,
    /// Whether the coordinator has said which protocol it speaks.
    greeted: Arc<AtomicBool>,
    /// Why the coordinator will never answer.
    fatal: Option<Refusal>,
}

/// What is under way for an attempt.
struct Work {
    context: Arc<Context>,
    stopper: Stopper,
    task: Option<AbortOnDropHandle<()>>,
    /// The task is the builder's, which is not aborted but stopped.
    building: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Prepare,
    Build,
    Upload,
    Report,
}

enum Event {
    Input(Input),
    Exchanged(u64, Result<ExchangeAnswer, Refusal>),
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        settings: Settings,
        state: StateDir,
        session: SessionId,
        ran_before: bool,
        outside: Outside,
    ) -> Result<Self, AgentError> {
        let capacities = Capacities {
            parallel: settings.parallel,
            ahead: settings.ahead,
        };
        let (sender, events) = mpsc::unbounded_channel();
        let now = shared.clock.now();
        let mut driver = Self {
            core: Core::new(now, session, settings),
            status: StatusKeeper::new(session),
            shared,
            capacities,
            state,
            works: BTreeMap::new(),
            closing: JoinSet::new(),
            leftovers: None,
            ran_before,
            earlier: HashSet::new(),
            outside,
            sender,
            events,
            exchanges: [None, None],
            revision: 0,
            greeted: Arc::default(),
            fatal: None,
        };
        driver.resume()?;
        Ok(driver)
    }

    /// Looks what earlier runs left.
    fn resume(&mut self) -> Result<(), AgentError> {
        let mut unfinished = Vec::new();
        for attempt in self.state.leftovers()? {
            let spool = self.state.spool(attempt);
            match spool.read_result() {
                Ok(Some(result)) => {
                    info!(%attempt, derivation = result.derivation, "an earlier run left a result");
                    let assignment = Assignment {
                        attempt,
                        derivation: result.derivation.clone(),
                        builds: result.builds.clone(),
                        // Only a build has limits, and this one is over.
                        limits: Limits {
                            timeout_ms: 0,
                            max_silent_ms: 0,
                        },
                    };
                    let (stopper, stop) = Stop::new();
                    let context = Context::resumed(assignment.clone(), spool, stop, result);
                    self.begin(context, stopper);
                    self.tell(Input::Resumed(assignment));
                }
                Ok(None) => unfinished.push(attempt),
                Err(error) => {
                    warn!(%attempt, %error, "the result of an earlier run cannot be read");
                    unfinished.push(attempt);
                }
            }
        }
        self.leftovers = Some(unfinished);
        Ok(())
    }

    fn begin(&mut self, context: Context, stopper: Stopper) {
        let context = Arc::new(context);
        let work = Work {
            context,
            stopper,
            task: None,
            building: false,
        };
        self.works.insert(work.context.id(), work);
    }

    fn tell(&mut self, input: Input) {
        self.core.handle(self.shared.clock.now(), input);
    }

    /// Runs until the core ends.
    pub(crate) async fn run(mut self) -> Result<(), AgentError> {
        let draining = Arc::clone(&self.outside.draining);
        let stop = self.outside.stop.clone();
        let end = loop {
            if let Some(end) = self.perform() {
                break end;
            }
            self.publish();
            let now = self.shared.clock.now();
            let until = self.core.poll_timeout().map(|at| at.since(now));
            let clock = Arc::clone(&self.shared.clock);
            tokio::select! {
                biased;
                () = stop.stopped() => self.tell(Input::Stop),
                () = draining.notified() => self.tell(Input::Drain),
                Some(event) = self.events.recv() => self.take(event),
                () = clock.sleep(until.unwrap_or(Duration::MAX)), if until.is_some() => {
                    self.core.handle_timeout(self.shared.clock.now());
                }
            }
        };
        self.stop_all().await;
        self.publish();
        match (end, self.fatal.take()) {
            (End::Fatal, Some(refusal)) => Err(refused(refusal)),
            _ => Ok(()),
        }
    }

    fn publish(&mut self) {
        let works = &self.works;
        let describe = |attempt| works.get(&attempt).map(|work| &work.context.assignment);
        let now = self.shared.clock.now();
        if let Some(status) = self.status.look(now, &self.core, describe) {
            self.outside.status.send_replace(status);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Input(input) => self.tell(input),
            Event::Exchanged(revision, Ok(answer)) => self.answered(revision, answer),
            Event::Exchanged(revision, Err(refusal)) => self.not_answered(revision, refusal),
        }
    }

    fn answered(&mut self, revision: u64, answer: ExchangeAnswer) {
        if revision == self.revision {
            self.status.problem(None);
            self.forget_leftovers(&answer);
        }
        self.tell(Input::Answered {
            revision,
            assign: answer.assign.into_iter().map(assignment).collect(),
            drop: answer.drop,
            lease: Duration::from_millis(answer.lease_ms),
        });
    }

    /// Deletes what earlier runs left and the coordinator does not assign again.
    fn forget_leftovers(&mut self, answer: &ExchangeAnswer) {
        let Some(leftovers) = self.leftovers.take() else {
            return;
        };
        let wanted: HashSet<_> = answer
            .assign
            .iter()
            .map(|assignment| assignment.attempt)
            .collect();
        for attempt in leftovers
            .into_iter()
            .filter(|attempt| !wanted.contains(attempt))
        {
            info!(%attempt, "deleting what an earlier run left: nobody wants it any more");
            let spool = self.state.spool(attempt);
            tokio::task::spawn_blocking(move || {
                if let Err(error) = spool.remove() {
                    warn!(%attempt, %error, "what an earlier run left cannot be deleted");
                }
            });
        }
        if self.ran_before {
            self.earlier = wanted;
        }
    }

    fn not_answered(&mut self, revision: u64, refusal: Refusal) {
        if revision != self.revision {
            return;
        }
        self.greeted.store(false, Ordering::Relaxed);
        let failure = match refusal.fault {
            // The id is not known, or the password not right.
            Fault::Forbidden | Fault::NotFound => {
                error!(
                    agent = %self.shared.config.id,
                    message = refusal.message,
                    "the coordinator does not accept this agent's id and password: make a new \
                     password with `grange agent ID password new`; trying again later"
                );
                ExchangeFailure::Forbidden
            }
            Fault::Conflict | Fault::Caller => {
                self.fatal = Some(refusal.clone());
                ExchangeFailure::Fatal
            }
            _ => {
                if !self.core.contact().failing {
                    warn!(%refusal, "the coordinator is not reached: builds go on, results wait");
                }
                let retry_after = retry_after(&refusal);
                ExchangeFailure::Unreachable { retry_after }
            }
        };
        self.status.problem(Some(refusal.to_string()));
        self.tell(Input::ExchangeFailed { revision, failure });
    }

    /// Begins all that is to be done.
    fn perform(&mut self) -> Option<End> {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Exchange(exchange) => self.exchange(exchange),
                Effect::Prepare(assignment) => self.prepare(assignment),
                Effect::Build(attempt) => {
                    self.spawn(attempt, Step::Build, |shared, context| async move {
                        build(&shared, &context).await
                    });
                }
                Effect::Upload(attempt) => {
                    self.spawn(attempt, Step::Upload, |shared, context| async move {
                        Some(upload(&shared, &context).await)
                    });
                }
                Effect::Report(attempt) => {
                    self.spawn(attempt, Step::Report, |shared, context| async move {
                        Some(report(&shared, &context).await)
                    });
                }
                Effect::Close { attempt, ending } => self.close(attempt, ending),
                Effect::End(end) => return Some(end),
            }
        }
        None
    }

    fn exchange(&mut self, what: Exchange) {
        let revision = what.revision;
        self.revision = revision;
        let [current, void] = &mut self.exchanges;
        *void = current.take();
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        let (capacities, greeted) = (self.capacities, Arc::clone(&self.greeted));
        let task = async move {
            let result = exchange(&shared, capacities, &greeted, what).await;
            let _ = sender.send(Event::Exchanged(revision, result));
        };
        *current = Some(AbortOnDropHandle::new(tokio::spawn(task)));
    }

    fn prepare(&mut self, assignment: Assignment) {
        let attempt = assignment.attempt;
        if !self.works.contains_key(&attempt) {
            let (stopper, stop) = Stop::new();
            let spool = self.state.spool(attempt);
            let mut context = Context::new(assignment, spool, stop);
            context.earlier = self.earlier.remove(&attempt);
            self.begin(context, stopper);
        }
        self.spawn(attempt, Step::Prepare, |shared, context| async move {
            Some(prepare(&shared, &context).await)
        });
    }

    /// Runs a step of an attempt. A panic in it is a defect, and does not take the agent along.
    fn spawn<F>(
        &mut self,
        attempt: AttemptId,
        step: Step,
        future: impl FnOnce(Arc<Shared>, Arc<Context>) -> F,
    ) where
        F: Future<Output = Option<Input>> + Send + 'static,
    {
        let Some(work) = self.works.get_mut(&attempt) else {
            error!(%attempt, "nothing is known of an attempt that is to be worked on");
            return;
        };
        let (context, sender) = (Arc::clone(&work.context), self.sender.clone());
        let future = future(Arc::clone(&self.shared), Arc::clone(&context));
        let task = async move {
            let input = AssertUnwindSafe(future)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| {
                    let message =
                        "a defect of the agent or its builder: a step of the attempt panicked";
                    let failure = SetupFailure::new(Problem::Other, message);
                    let input = StepError::Setup(failure).into_input(&context);
                    // The report itself is made again, and later: it may panic again.
                    Some(if step == Step::Report {
                        Input::Broken {
                            attempt,
                            retry_after: None,
                        }
                    } else {
                        input
                    })
                });
            if let Some(input) = input {
                let _ = sender.send(Event::Input(input));
            }
        };
        work.building = step == Step::Build;
        work.task = Some(AbortOnDropHandle::new(tokio::spawn(task)));
    }

    /// Stops what runs for an attempt, waits until it has stopped, and deletes its files.
    fn close(&mut self, attempt: AttemptId, ending: Ending) {
        let Some(work) = self.works.remove(&attempt) else {
            error!(%attempt, "nothing is known of an attempt that is to be closed");
            return;
        };
        let end = work.context.end();
        self.status.count(ending, end.as_ref());
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        while self.closing.try_join_next().is_some() {}
        self.closing.spawn(async move {
            let context = Arc::clone(&work.context);
            work.stop().await;
            if ending == Ending::Accepted && shared.config.delete_outputs {
                delete_outputs(&shared, end).await;
            }
            let spool = context.spool.clone();
            let removed = tokio::task::spawn_blocking(move || spool.remove()).await;
            if let Ok(Err(error)) = removed {
                warn!(%attempt, %error, "the attempt's directory cannot be deleted");
            }
            let _ = sender.send(Event::Input(Input::Closed(attempt)));
        });
    }

    async fn stop_all(&mut self) {
        self.exchanges = [None, None];
        let works = std::mem::take(&mut self.works);
        futures::future::join_all(works.into_values().map(Work::stop)).await;
        while self.closing.join_next().await.is_some() {}
    }
}

impl Work {
    /// Returns when nothing runs any more.
    async fn stop(mut self) {
        self.stopper.stop();
        self.context.state().live = None;
        if let Some(task) = self.task {
            if !self.building {
                task.abort();
            }
            // It was aborted, or has ended: either will do.
            let _ = task.await;
        }
    }
}

/// Deletes the outputs of an attempt from the agent's store.
async fn delete_outputs(shared: &Shared, end: Option<AttemptEnd>) {
    let Some(AttemptEnd::Spooled { result, .. }) = end else {
        return;
    };
    let SpooledOutcome::Succeeded { outputs } = &result.outcome else {
        return;
    };
    for output in outputs {
        let path = grange_derivation::StorePath::parse(shared.store.store_dir(), &output.path);
        let Ok(path) = path else { continue };
        let Some(doom) = shared.claims.doom(&path) else {
            continue;
        };
        if let Err(error) = shared.store.delete(&path).await {
            info!(%path, %error, "an output stays in the store");
        }
        drop(doom);
    }
}
