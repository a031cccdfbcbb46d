//! A core on the bench: time and inputs by hand.

use std::time::Duration;

use grange_agent_core::{Assignment, Core, Effect, Exchange, Input, Settings};
use grange_model::{AttemptId, Limits, SessionId, Term, Timestamp};
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) now: Timestamp,
    revision: u64,
}

pub(crate) fn id(slot: u32) -> AttemptId {
    AttemptId {
        term: Term(1),
        slot,
        generation: 0,
    }
}

pub(crate) fn assignment(slot: u32) -> Assignment {
    Assignment {
        attempt: id(slot),
        derivation: format!("/gnu/store/00000000000000000000000000000000-{slot}.drv"),
        builds: Vec::new(),
        limits: Limits {
            timeout_ms: 1000,
            max_silent_ms: 1000,
        },
    }
}

impl Bench {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Timestamp(1_000_000);
        Self {
            core: Core::new(now, SessionId(Uuid::nil()), settings),
            now,
            revision: 0,
        }
    }

    /// One that has heard of its coordinator, and of these attempts.
    pub(crate) fn assigned(settings: Settings, slots: impl IntoIterator<Item = u32>) -> Self {
        let mut bench = Self::new(settings);
        bench.effects();
        bench.answer(slots, []);
        bench
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.core.handle(self.now, input);
    }

    pub(crate) fn answer(
        &mut self,
        assign: impl IntoIterator<Item = u32>,
        drop: impl IntoIterator<Item = u32>,
    ) {
        self.tell(Input::Answered {
            revision: self.revision,
            assign: assign.into_iter().map(assignment).collect(),
            drop: drop.into_iter().map(id).collect(),
            lease: LEASE,
        });
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// An agent that was given all that it can take rests before it asks again.
    pub(crate) fn ask_again(&mut self) {
        self.pass(250);
        assert!(self.effects().1.is_some(), "it asks again");
    }

    /// All effects, exchanges apart.
    pub(crate) fn effects(&mut self) -> (Vec<Effect>, Option<Exchange>) {
        let mut effects = Vec::new();
        let mut exchange = None;
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Exchange(new) => {
                    assert_eq!(new.revision, self.revision + 1, "revisions count");
                    self.revision = new.revision;
                    assert_eq!(exchange, None, "one exchange at a time");
                    exchange = Some(new);
                }
                effect => effects.push(effect),
            }
        }
        (effects, exchange)
    }

    pub(crate) fn work(&mut self) -> Vec<Effect> {
        self.effects().0
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = Timestamp(self.now.0 + millis);
        self.core.handle_timeout(self.now);
    }

    /// Goes to the next timeout, and says how long that took.
    pub(crate) fn wait(&mut self) -> u64 {
        let at = self.core.poll_timeout().expect("it waits for something");
        let millis = at
            .since(self.now)
            .as_millis()
            .try_into()
            .expect("not for ever");
        self.pass(millis);
        millis
    }
}
