//! The core beside the model: the same is handed to both, and all that can be seen is compared.

use grange_coordinator_core::{Core, Input, Reply};
use grange_model::{Fact, Record, Seq, Timestamp};

use super::agree::agree;
use super::drive::Drive;
use super::mismatch::Mismatch;
use super::model::{Model, Told};
use super::op::{Op, Outcome, Script};
use super::run::Cast;
use super::sketch::Sketch;

/// A core and a model, side by side.
#[derive(Debug)]
pub struct Comparison {
    drive: Drive,
    model: Model,
    cast: Cast,
    now: Timestamp,
    small_slices: bool,
    /// Facts that the model has been told of.
    told: usize,
}

/// One way in which a step may be understood.
struct Way {
    model: Model,
    error: Option<Mismatch>,
}

impl Comparison {
    /// A farm to which nothing has happened yet.
    #[must_use]
    pub fn new(sketch: &Sketch) -> Self {
        Self::with(sketch, |_| ())
    }

    /// The same with a core that is set otherwise.
    #[must_use]
    pub fn with(
        sketch: &Sketch,
        change: impl FnOnce(&mut grange_coordinator_core::Config),
    ) -> Self {
        let mut config = sketch.config();
        change(&mut config);
        let records = sketch.records();
        Self {
            drive: Drive::new(config.clone()),
            model: Model::new(config, &records),
            cast: Cast::new(records, !sketch.small_slices),
            now: Timestamp(1_000_000),
            small_slices: sketch.small_slices,
            told: 0,
        }
    }

    /// Runs a script from its beginning to its end.
    ///
    /// # Errors
    ///
    /// Where core and model first differ.
    pub fn run(script: &Script) -> Result<(), Mismatch> {
        let mut comparison = Self::new(&script.sketch);
        script.ops.iter().try_for_each(|op| comparison.apply(op))
    }

    /// The core as it stands.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.drive.core
    }

    /// Does it with both, and compares.
    ///
    /// # Errors
    ///
    /// Where they differ.
    pub fn apply(&mut self, op: &Op) -> Result<(), Mismatch> {
        if self.drive.store.seq == Seq(0) {
            self.store_derivations()?;
        }
        self.pass(1)?;
        match op {
            Op::Pass { seconds } => self.pass(u64::from(*seconds) * 1_000),
            Op::Restart => self.restart(),
            Op::Cut { op, commits } => self.cut(op, *commits),
            _ => {
                let inputs = self.cast.inputs(self.now, &self.drive, op);
                self.drive.run(self.now, &inputs, None)?;
                self.understand(&inputs)
            }
        }
    }

    fn store_derivations(&mut self) -> Result<(), Mismatch> {
        let records = self.cast.records().iter().cloned();
        let records = records.map(Record::Derivation).collect();
        let ticket = self.cast.ticket();
        let inputs = vec![Input::Store { ticket, records }];
        self.drive.run(self.now, &inputs, None)?;
        self.understand(&inputs)
    }

    /// Time passes, with all timers on the way.
    fn pass(&mut self, milliseconds: u64) -> Result<(), Mismatch> {
        let end = Timestamp(self.now.0 + milliseconds);
        while let Some(at) = self.drive.next_timer()
            && at <= end
        {
            self.now = self.now.max(at);
            self.drive.wake(self.now)?;
            self.expire()?;
        }
        self.now = end;
        self.drive.wake(self.now)?;
        self.expire()
    }

    fn expire(&mut self) -> Result<(), Mismatch> {
        let told = self.tell();
        self.model.begin(self.now, told);
        self.model.pass(self.now)?;
        let model = self.model.clone();
        self.conclude(vec![Way { model, error: None }])
    }

    fn restart(&mut self) -> Result<(), Mismatch> {
        self.cast.hang_up();
        self.drive.restart(self.now)?;
        let told = self.tell();
        self.model.begin(self.now, told);
        self.model.restart(self.now)?;
        let model = self.model.clone();
        self.conclude(vec![Way { model, error: None }])
    }

    /// The coordinator ends while it does something, and is asked for it again.
    fn cut(&mut self, op: &Op, commits: u8) -> Result<(), Mismatch> {
        let once = match op {
            Op::Submit { .. } | Op::Follow | Op::Cancel { .. } => true,
            // What is looked up after the first commit is not looked up again.
            Op::Report { outcome, .. } => *outcome != Outcome::MissingInput,
            _ => false,
        };
        let inputs = self.cast.inputs(self.now, &self.drive, op);
        let commits = (once && !self.small_slices).then_some(usize::from(commits % 3));
        if self.drive.run(self.now, &inputs, commits)? {
            return self.understand(&inputs);
        }
        self.drive.replies.clear();
        self.cast.hang_up();
        self.drive.restart(self.now)?;
        let again = match op {
            Op::Follow => self.cast.inputs(self.now, &self.drive, op),
            _ => inputs.clone(),
        };
        self.drive.run(self.now, &again, None)?;
        // What was done may be lost, or not; nothing of it may be half there.
        let told = self.tell();
        let ways = [&[][..], &inputs].map(|before| {
            let mut model = self.model.clone();
            model.begin(self.now, told.clone());
            let done = handle(&mut model, before)
                .and_then(|()| model.restart(self.now))
                .and_then(|()| handle(&mut model, &again));
            Way {
                model,
                error: done.err(),
            }
        });
        self.conclude(ways.into())
    }

    /// The model does what the core has done; submissions may be understood in any order.
    fn understand(&mut self, inputs: &[Input]) -> Result<(), Mismatch> {
        let told = self.tell();
        let mut backwards = inputs.to_vec();
        backwards.reverse();
        let is_submission = |input: &Input| matches!(input, Input::Submit { .. });
        let any_order = inputs.len() > 1 && inputs.iter().all(is_submission);
        let mut orders = vec![inputs.to_vec()];
        orders.extend(any_order.then_some(backwards));
        let ways = orders.iter().map(|order| {
            let mut model = self.model.clone();
            model.begin(self.now, told.clone());
            let error = handle(&mut model, order).err();
            Way { model, error }
        });
        let ways = ways.collect();
        self.conclude(ways)
    }

    /// What the core said of late that the model cannot know.
    fn tell(&mut self) -> Told {
        let mut told = Told::default();
        for fact in &self.drive.store.facts[self.told..] {
            match &fact.fact {
                Fact::Submitted {
                    build,
                    derivation,
                    implicit: true,
                } => told
                    .minted
                    .entry(*derivation)
                    .or_default()
                    .push_back(*build),
                Fact::Started {
                    attempt,
                    derivation,
                    agent,
                    builds,
                } => {
                    self.cast.attempts.push((*attempt, *agent, *derivation));
                    told.started.push_back((*attempt, *agent, builds.clone()));
                }
                _ => {}
            }
        }
        told
    }

    /// Takes the first way that agrees with what is seen.
    fn conclude(&mut self, ways: Vec<Way>) -> Result<(), Mismatch> {
        let mut first = None;
        for mut way in ways {
            let error = match way.error.take() {
                None => agree(&self.drive, self.told, self.small_slices, &mut way.model).err(),
                error => error,
            };
            let Some(error) = error else {
                self.model = way.model;
                self.hear();
                return Ok(());
            };
            let first = first.get_or_insert_with(|| error.clone());
            if *first != error {
                first.detail = format!("{}; or else, {error}", first.detail);
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Agents and clients hear what they are told.
    fn hear(&mut self) {
        self.told = self.drive.store.facts.len();
        for (ticket, reply) in std::mem::take(&mut self.drive.replies) {
            let mut clients = self.cast.agents.values_mut();
            if let Some(client) = clients.find(|client| client.waits == Some(ticket)) {
                client.waits = None;
                if let Reply::Exchange(reply) = reply {
                    client.held.extend(reply.assign.iter().map(|it| it.attempt));
                    client.held.retain(|held| !reply.drop.contains(held));
                }
            }
        }
    }
}

fn handle(model: &mut Model, inputs: &[Input]) -> Result<(), Mismatch> {
    inputs.iter().try_for_each(|input| model.handle(input))
}
