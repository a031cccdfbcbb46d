//! When the coordinator is told what.

use std::time::Duration;

use grange_model::{SessionId, Timestamp};

use crate::ExchangeFailure;
use crate::backoff::{Backoff, Jitter};
use crate::elapsed::Moment;

/// News that does not change what the agent can take is told within this time.
const LAZY: Duration = Duration::from_secs(1);
/// How long an agent that was just given all that it can take waits before it asks again: for a
/// build that ends earlier one exchange is enough.
const FULL: Duration = Duration::from_millis(250);

/// The exchanges of a session: one at a time.
#[derive(Debug)]
pub(crate) struct Polling {
    pub(crate) session: SessionId,
    pub(crate) revision: u64,
    state: State,
    /// When the coordinator is to hear of what has changed, if nothing makes it hear of it earlier.
    tell: Option<Moment>,
    unreachable: Backoff,
    forbidden: Backoff,
    /// Answers in a row that came early and held nothing new: a coordinator that does not wait
    /// shall not be asked all the time.
    empty: Backoff,
    pub(crate) contact: Option<Timestamp>,
    pub(crate) lease: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next effect is an exchange.
    Due,
    UnderWay {
        since: Moment,
        wait: Duration,
        /// When the connection is taken for dead.
        until: Moment,
    },
    /// The coordinator answers, but needs no exchange now.
    Resting { until: Moment },
    /// The last exchange did not go.
    Failing { until: Moment },
}

impl Polling {
    pub(crate) fn new(session: SessionId) -> Self {
        Self {
            session,
            revision: 0,
            state: State::Due,
            tell: None,
            unreachable: Backoff::ordinary(),
            forbidden: Backoff::patient(),
            empty: Backoff::new(Duration::from_millis(10), Duration::from_secs(1)),
            contact: None,
            lease: Duration::ZERO,
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.state == State::Due
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.unreachable.failures() + self.forbidden.failures() > 0
    }

    /// Begins an exchange; how long the coordinator may wait with its answer. The first one of all,
    /// and the first after a failure, come back at once: only then it is known that all is well.
    pub(crate) fn begin(&mut self, now: Moment, wait: Duration, grace: Duration) -> Duration {
        let known = self.contact.is_some() && !self.is_failing();
        let wait = if known { wait } else { Duration::ZERO };
        self.revision += 1;
        self.tell = None;
        let until = now.after(self.patience(wait, grace));
        self.state = State::UnderWay {
            since: now,
            wait,
            until,
        };
        wait
    }

    /// How long an answer is waited for: `wait` and `grace`, but not so long that the lease runs out.
    ///
    /// Counter-example: a firewall forgets the connection on which the coordinator, after half of a lease of 60 s,
    /// answers. An agent that waits for 60 s speaks again when its lease has run out, and its builds were given to
    /// others. So it leaves a quarter of the lease for another try. That one may meet another such connection:
    /// it is answered at once or not at all, and gets little time at first, then ever more.
    fn patience(&self, wait: Duration, grace: Duration) -> Duration {
        let most = wait.saturating_add(grace);
        if self.contact.is_none() || self.lease.is_zero() {
            return most;
        }
        match self.unreachable.failures() {
            0 => most.min(self.lease / 4 * 3),
            failures => most.min(self.lease / 16 * (1 << (failures - 1).min(10))),
        }
    }

    /// The coordinator shall know at once, unless it cannot be reached.
    pub(crate) fn tell_now(&mut self) {
        if !matches!(self.state, State::Failing { .. }) {
            self.state = State::Due;
        }
    }

    /// The coordinator shall know soon.
    pub(crate) fn tell_soon(&mut self, now: Moment) {
        self.tell.get_or_insert_with(|| now.after(LAZY));
    }

    /// Whether this is the exchange that is under way.
    pub(crate) fn awaits(&self, revision: u64) -> bool {
        revision == self.revision && matches!(self.state, State::UnderWay { .. })
    }

    /// The exchange under way was answered; whether the coordinator had been out of reach before.
    /// `full`: there is no room for more.
    pub(crate) fn answered(
        &mut self,
        now: Moment,
        news: bool,
        full: bool,
        jitter: &mut Jitter,
    ) -> bool {
        let State::UnderWay { since, wait, .. } = self.state else {
            return false;
        };
        let returned = self.is_failing();
        self.unreachable.succeeded();
        self.forbidden.succeeded();
        let early = !wait.is_zero() && now.since(since) < wait / 2;
        self.state = if early && !news {
            State::Resting {
                until: now.after(self.empty.failed(jitter, None)),
            }
        } else {
            self.empty.succeeded();
            if news && full {
                State::Resting {
                    until: now.after(FULL),
                }
            } else {
                State::Due
            }
        };
        returned
    }

    pub(crate) fn failed(&mut self, now: Moment, failure: ExchangeFailure, jitter: &mut Jitter) {
        let wait = match failure {
            ExchangeFailure::Unreachable { retry_after } => {
                self.unreachable.failed(jitter, retry_after)
            }
            ExchangeFailure::Forbidden | ExchangeFailure::Fatal => {
                self.forbidden.failed(jitter, None)
            }
        };
        self.state = State::Failing {
            until: now.after(wait),
        };
    }

    pub(crate) fn timeout(&self) -> Option<Moment> {
        let own = match self.state {
            State::Due => None,
            State::UnderWay { until, .. } => Some(until),
            State::Resting { until } | State::Failing { until } => Some(until),
        };
        let tell = self
            .tell
            .filter(|_| matches!(self.state, State::UnderWay { .. }));
        [own, tell].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Moment, jitter: &mut Jitter) {
        match self.state {
            State::Due => {}
            State::UnderWay { until, .. } if until <= now => {
                self.failed(
                    now,
                    ExchangeFailure::Unreachable { retry_after: None },
                    jitter,
                );
            }
            State::UnderWay { .. } => {
                if self.tell.is_some_and(|at| at <= now) {
                    self.state = State::Due;
                }
            }
            State::Resting { until } | State::Failing { until } => {
                if until <= now {
                    self.state = State::Due;
                }
            }
        }
    }
}
