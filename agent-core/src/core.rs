//! The machine.

use std::collections::VecDeque;
use std::time::Duration;

use grange_model::{AttemptId, SessionId, Timestamp};

use crate::attempt::{Assignment, Attempt, Phase, Stage, Step};
use crate::backoff::Jitter;
use crate::elapsed::Elapsed;
use crate::polling::Polling;
use crate::{Effect, End, Ending, Exchange, ExchangeFailure, Input, Settings};

/// An agent's state: what it holds, and what it knows of the coordinator.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    mode: Mode,
    clock: Elapsed,
    jitter: Jitter,
    polling: Polling,
    /// In the order in which they came.
    attempts: Vec<Attempt>,
    effects: VecDeque<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Running,
    Draining,
    Ended,
}

/// What is known of the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// When it last answered an exchange.
    pub last: Option<Timestamp>,
    /// How long after that it counts on the agent.
    pub lease: Duration,
    /// Whether the last exchange that ended did not go.
    pub failing: bool,
}

impl Core {
    /// An agent that holds nothing.
    #[must_use]
    pub fn new(now: Timestamp, session: SessionId, settings: Settings) -> Self {
        Self {
            jitter: Jitter::new(settings.seed),
            settings,
            mode: Mode::Running,
            clock: Elapsed::new(now),
            polling: Polling::new(session),
            attempts: Vec::new(),
            effects: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.clock.advance(now);
        if self.mode == Mode::Ended {
            return;
        }
        match input {
            Input::Answered {
                revision,
                assign,
                drop,
                lease,
            } => {
                self.answered(now, revision, assign, &drop, lease);
            }
            Input::ExchangeFailed { revision, failure } => self.exchange_failed(revision, failure),
            Input::Resumed(assignment) => self.take(assignment, Step::Upload),
            Input::Prepared(attempt) => self.step(attempt, &[Step::Prepare], Step::Build),
            Input::Finished(attempt) => self.step(attempt, &[Step::Build], Step::Upload),
            Input::SetupFailed(attempt) => {
                let from = [Step::Prepare, Step::Build, Step::Upload];
                self.step(attempt, &from, Step::Report);
            }
            Input::Uploaded(attempt) => self.step(attempt, &[Step::Upload], Step::Report),
            Input::Accepted(attempt) => {
                if self.stage(attempt) == Some(Stage::Active(Step::Report)) {
                    self.close(attempt, Ending::Accepted);
                }
            }
            Input::Refused(attempt) => {
                self.close(attempt, Ending::Refused);
                self.polling.tell_soon(self.clock.now());
            }
            Input::Lost(attempt) => {
                self.close(attempt, Ending::Lost);
                self.polling.tell_now();
            }
            Input::Broken {
                attempt,
                retry_after,
            } => self.broken(attempt, retry_after),
            Input::Closed(attempt) => self.closed(attempt),
            Input::Drain => {
                self.mode = Mode::Draining;
                self.polling.tell_now();
            }
            Input::Stop => return self.end(End::Stopped),
        }
        self.advance();
    }

    /// What is to be done next, if anything.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        if self.mode == Mode::Ended || !self.polling.is_due() {
            return None;
        }
        let Settings { wait, grace, .. } = self.settings;
        let wait = self.polling.begin(self.clock.now(), wait, grace);
        Some(Effect::Exchange(Exchange {
            session: self.polling.session,
            revision: self.polling.revision,
            accepting: self.mode == Mode::Running,
            held: self.held().collect(),
            wait,
        }))
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.clock.advance(now);
        if self.mode == Mode::Ended {
            return;
        }
        let now = self.clock.now();
        self.polling.handle_timeout(now, &mut self.jitter);
        for attempt in &mut self.attempts {
            if let Stage::Pausing(step, until) = attempt.stage
                && until <= now
            {
                attempt.stage = Stage::Waiting(step);
            }
        }
        self.advance();
    }

    /// When [`Core::handle_timeout`] has something to do; none if only an [`Input`] gives it any.
    /// Call it again after each input.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.mode == Mode::Ended {
            return None;
        }
        let pauses = self
            .attempts
            .iter()
            .filter_map(|attempt| match attempt.stage {
                Stage::Pausing(_, until) => Some(until),
                _ => None,
            });
        let polling = self.polling.timeout();
        pauses
            .chain(polling)
            .min()
            .map(|moment| self.clock.wall(moment))
    }

    /// What the coordinator would be told now.
    pub fn held(&self) -> impl Iterator<Item = (AttemptId, Phase)> + '_ {
        self.attempts
            .iter()
            .filter_map(|attempt| Some((attempt.id(), attempt.phase()?)))
    }

    /// How many builders run, those that are being stopped included. Never more than
    /// [`Settings::parallel`].
    #[must_use]
    pub fn building(&self) -> usize {
        self.attempts
            .iter()
            .filter(|attempt| attempt.builds())
            .count()
    }

    /// What is known of the coordinator.
    #[must_use]
    pub fn contact(&self) -> Contact {
        Contact {
            last: self.polling.contact,
            lease: self.polling.lease,
            failing: self.polling.is_failing(),
        }
    }

    fn answered(
        &mut self,
        now: Timestamp,
        revision: u64,
        assign: Vec<Assignment>,
        drop: &[AttemptId],
        lease: Duration,
    ) {
        if !self.polling.awaits(revision) {
            return;
        }
        self.polling.contact = Some(now);
        self.polling.lease = lease;
        let mut news = false;
        for attempt in drop {
            news |= self.close(*attempt, Ending::Dropped);
        }
        for assignment in assign {
            news |= self.assigned(assignment);
        }
        let (now, full) = (self.clock.now(), self.is_full());
        if self.polling.answered(now, news, full, &mut self.jitter) {
            self.wake();
        }
    }

    /// Whether it holds as many attempts that are still to be built as it takes.
    fn is_full(&self) -> bool {
        let held = |held: &&Attempt| held.step().is_some_and(|step| step <= Step::Build);
        let count = self.attempts.iter().filter(held).count();
        let most = self.settings.parallel.saturating_add(self.settings.ahead);
        usize::try_from(most).is_ok_and(|most| count >= most)
    }

    /// The coordinator is back: what waited for it need not wait longer.
    fn wake(&mut self) {
        for attempt in &mut self.attempts {
            if let Stage::Pausing(step, _) = attempt.stage {
                attempt.stage = Stage::Waiting(step);
            }
        }
    }

    fn exchange_failed(&mut self, revision: u64, failure: ExchangeFailure) {
        if !self.polling.awaits(revision) {
            return;
        }
        if failure == ExchangeFailure::Fatal {
            return self.end(End::Fatal);
        }
        self.polling
            .failed(self.clock.now(), failure, &mut self.jitter);
    }

    /// Whether it is anything new.
    fn assigned(&mut self, assignment: Assignment) -> bool {
        let held = self
            .attempts
            .iter_mut()
            .find(|held| held.id() == assignment.attempt);
        let Some(held) = held else {
            self.attempts.push(Attempt::new(assignment, Step::Prepare));
            return true;
        };
        // It is just being closed here, and the coordinator counts on it: once its files are gone,
        // it is begun anew. Were it ignored, the coordinator would assign it again at once, and
        // again, until the builder has stopped.
        let Stage::Closing { again, .. } = &mut held.stage else {
            return false;
        };
        let news = !*again;
        *again = true;
        held.assignment = assignment;
        news
    }

    fn take(&mut self, assignment: Assignment, step: Step) {
        if self.stage(assignment.attempt).is_none() {
            self.attempts.push(Attempt::new(assignment, step));
            self.polling.tell_now();
        }
    }

    fn step(&mut self, attempt: AttemptId, from: &[Step], to: Step) {
        let Some(held) = self.find(attempt) else {
            return;
        };
        let Stage::Active(step) = held.stage else {
            return;
        };
        if !from.contains(&step) {
            return;
        }
        held.stage = Stage::Waiting(to);
        held.backoff.succeeded();
        if step <= Step::Build && to > Step::Build {
            // There is room for another.
            self.polling.tell_now();
        }
    }

    fn broken(&mut self, attempt: AttemptId, retry_after: Option<Duration>) {
        let now = self.clock.now();
        let mut jitter = self.jitter.clone();
        let Some(held) = self.find(attempt) else {
            return;
        };
        let Stage::Active(step) = held.stage else {
            return;
        };
        // What could not be built is prepared anew: its inputs may be gone.
        let step = if step == Step::Build {
            Step::Prepare
        } else {
            step
        };
        let wait = held.backoff.failed(&mut jitter, retry_after);
        held.stage = Stage::Pausing(step, now.after(wait));
        self.jitter = jitter;
    }

    /// Whether it was held.
    fn close(&mut self, attempt: AttemptId, ending: Ending) -> bool {
        let Some(held) = self.find(attempt) else {
            return false;
        };
        let building = held.builds();
        if let Stage::Closing { again, .. } = &mut held.stage {
            // Only the coordinator can take back that it counts on the attempt.
            return ending == Ending::Dropped && std::mem::take(again);
        }
        held.stage = Stage::Closing {
            building,
            again: false,
        };
        self.effects.push_back(Effect::Close { attempt, ending });
        true
    }

    fn closed(&mut self, attempt: AttemptId) {
        let Some(at) = self.attempts.iter().position(|held| held.id() == attempt) else {
            return;
        };
        match self.attempts[at].stage {
            Stage::Closing { again: true, .. } => {
                let closed = self.attempts.remove(at);
                self.attempts
                    .push(Attempt::new(closed.assignment, Step::Prepare));
            }
            Stage::Closing { again: false, .. } => {
                self.attempts.remove(at);
            }
            _ => {}
        }
    }

    /// Begins whatever there is room for.
    fn advance(&mut self) {
        for step in Step::ALL {
            let mut room = self.room(step);
            for held in &mut self.attempts {
                if room == 0 {
                    break;
                }
                if held.stage == Stage::Waiting(step) {
                    held.stage = Stage::Active(step);
                    room -= 1;
                    self.effects.push_back(match step {
                        Step::Prepare => Effect::Prepare(held.assignment.clone()),
                        Step::Build => {
                            self.polling.tell_soon(self.clock.now());
                            Effect::Build(held.id())
                        }
                        Step::Upload => Effect::Upload(held.id()),
                        Step::Report => Effect::Report(held.id()),
                    });
                }
            }
        }
        if self.mode == Mode::Draining && self.attempts.is_empty() {
            self.end(End::Drained);
        }
    }

    /// How many attempts more may take this step.
    fn room(&self, step: Step) -> usize {
        let count = |wanted: &dyn Fn(&Attempt) -> bool| {
            self.attempts.iter().filter(|held| wanted(held)).count()
        };
        let active = count(&|held| held.stage == Stage::Active(step));
        let parallel = self.settings.parallel.max(1);
        let limit = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        match step {
            Step::Prepare => {
                limit(parallel.saturating_add(self.settings.ahead)).saturating_sub(active)
            }
            Step::Build => {
                let waiting = count(&|held| held.step() == Some(Step::Upload));
                if waiting >= limit(self.settings.results.max(1)) {
                    return 0;
                }
                limit(parallel).saturating_sub(self.building())
            }
            Step::Upload => limit(self.settings.uploads.max(1)).saturating_sub(active),
            Step::Report => usize::MAX,
        }
    }

    fn end(&mut self, end: End) {
        self.mode = Mode::Ended;
        self.effects.clear();
        self.effects.push_back(Effect::End(end));
    }

    fn find(&mut self, attempt: AttemptId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|held| held.id() == attempt)
    }

    fn stage(&self, attempt: AttemptId) -> Option<Stage> {
        self.attempts
            .iter()
            .find(|held| held.id() == attempt)
            .map(|held| held.stage)
    }
}
