//! A farm in virtual time: the real core, and agents that only wait.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use grange_coordinator_core::{
    AgentChange, Assignment, Config, DeniedWhy, ExchangeReply, Input, Reply, Report, StateCounts,
    Ticket,
};
use grange_model::{AgentRecord, AttemptId, BuildSpec, Limits, Tags, Timestamp};

use crate::agent::Agent;
use crate::config::{END_MS, YEAR_MS};
use crate::copies::Copies;
use crate::fleet::Fleet;
use crate::floors::Floors;
use crate::forecast;
use crate::outcome::{Built, Outcome};
use crate::policies::Rules;
use crate::shell::Shell;
use crate::workload::Workload;

/// Why a farm did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There are builds for a system that no machine has.
    #[error("no machine of the fleet builds for {system}, which {jobs} derivations need")]
    NoMachine {
        /// The system.
        system: String,
        /// How many jobs are for it.
        jobs: usize,
    },
    /// The core answered what it never should.
    #[error("a defect of Grange, please report it: the core refused what a farm does: {0}")]
    Refused(String),
    /// Nothing happens any more, and not all is built.
    #[error(
        "a defect of Grange, please report it: the farm stands still with {unfinished} builds unfinished"
    )]
    Stuck {
        /// How many.
        unfinished: u64,
    },
    /// The work is more than the fleet does in 100,000 years.
    #[error("the farm takes longer than 100,000 years")]
    TooLong,
}

/// No agent is ever lost here, so the core need not hear of them often.
const LEASE: Duration = Duration::from_millis(100 * YEAR_MS);
/// How long an agent waits for an answer, in milliseconds: the longest that the core allows. Each of these answers costs time and brings nothing.
const WAIT_MS: u64 = 50 * YEAR_MS;

/// Builds a workload with a fleet under some rules, which a policy is enough for, until all is built. The same arguments give the same result.
///
/// Agents do as real ones do: each has one exchange open, which says all that it holds, and opens the next when that is
/// answered. A build takes its duration divided by the speed of its machine, rounded up to a millisecond; everything else
/// takes no time. `clock` says how much time has passed since some moment; by it the core's own time is measured.
///
/// # Errors
///
/// The fleet cannot build it, or not in 100,000 years.
pub fn replay(
    workload: &Workload,
    fleet: &Fleet,
    rules: impl Into<Rules>,
    clock: fn() -> Duration,
) -> Result<Outcome, ReplayError> {
    check(workload, fleet)?;
    let mut farm = Farm::new(workload, fleet, rules.into(), clock);
    farm.run()?;
    Ok(farm.outcome)
}

/// Whether each job has a machine. [`Bounds`](crate::Bounds) mean something only then.
///
/// # Errors
///
/// Nobody builds for the system of a job.
pub fn check(workload: &Workload, fleet: &Fleet) -> Result<(), ReplayError> {
    let has = |system: &str| {
        let mut systems = fleet.machines().iter().flat_map(|it| &it.systems);
        systems.any(|offered| offered == system)
    };
    let mut lacking: HashMap<&str, usize> = HashMap::new();
    let jobs = u32::try_from(workload.jobs().len()).unwrap_or(u32::MAX);
    let mut known: HashMap<&str, bool> = HashMap::new();
    for job in 0..jobs {
        let system = workload.system(job);
        if !*known.entry(system).or_insert_with(|| has(system)) {
            *lacking.entry(system).or_default() += 1;
        }
    }
    let first = lacking.into_iter().min();
    first.map_or(Ok(()), |(system, jobs)| {
        Err(ReplayError::NoMachine {
            system: system.to_owned(),
            jobs,
        })
    })
}

/// Something that will happen. Of what happens at once, builds end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ended { agent: usize, attempt: AttemptId },
    Submitted { number: usize },
    Asked,
}

struct Farm<'a> {
    workload: &'a Workload,
    floors: Option<Floors>,
    forecast_every: Option<Duration>,
    shell: Shell,
    begun: Timestamp,
    agents: Vec<Agent>,
    /// Whose exchange waits for the answer.
    waiting: HashMap<Ticket, usize>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    /// Milliseconds from the start until each product was there first.
    made: Vec<Option<u64>>,
    outcome: Outcome,
}

impl<'a> Farm<'a> {
    fn new(workload: &'a Workload, fleet: &Fleet, rules: Rules, clock: fn() -> Duration) -> Self {
        let config = Config {
            lease: LEASE,
            max_wait: Duration::from_millis(WAIT_MS),
            policy: rules.policy,
            ..Config::default()
        };
        let shell = Shell::new(workload.copies().clone(), config, clock);
        let agents = (0..).zip(fleet.machines());
        let agents = agents.map(|(number, machine)| Agent::new(number, machine));
        let submissions = (0..).zip(workload.submissions());
        let events = submissions.map(|(number, submission)| {
            let at = milliseconds(submission.at);
            Reverse((at, Event::Submitted { number }))
        });
        let asked = rules
            .forecast_every
            .map(|every| Reverse((milliseconds(every), Event::Asked)));
        Self {
            workload,
            floors: rules.floors,
            forecast_every: rules.forecast_every,
            begun: shell.now(),
            shell,
            agents: agents.collect(),
            waiting: HashMap::new(),
            events: events.chain(asked).collect(),
            made: vec![None; workload.products()],
            outcome: Outcome::default(),
        }
    }

    fn run(&mut self) -> Result<(), ReplayError> {
        self.connect()?;
        while let Some(Reverse((next, _))) = self.events.peek().copied() {
            if next > END_MS {
                return Err(ReplayError::TooLong);
            }
            let next = self.begun.after(Duration::from_millis(next));
            let due = self.shell.due().map_or(next, |due| due.min(next));
            self.shell.pass(due.since(self.shell.now()));
            let now = self.now();
            while let Some(&Reverse((at, event))) = self.events.peek()
                && at <= now
            {
                self.events.pop();
                self.happens(event);
            }
            self.answer()?;
        }
        self.outcome.spent = self.shell.spent();
        let left = self.shell.core().counts();
        if left != StateCounts::default() {
            let unfinished = left.blocked + left.ready + left.running;
            return Err(ReplayError::Stuck { unfinished });
        }
        Ok(())
    }

    /// Makes the agents known, and lets them ask.
    fn connect(&mut self) -> Result<(), ReplayError> {
        let floors = self.floors.as_ref();
        for agent in &self.agents {
            let ticket = self.shell.ticket();
            let change = AgentChange::New(AgentRecord {
                id: agent.id(),
                name: agent.machine().name.clone(),
                tags: floors.map_or_else(Tags::new, |floors| floors.offers(agent.machine())),
                passwords: Vec::new(),
                paused: false,
                created_at: self.begun,
            });
            self.shell.hand_in(Input::Agent {
                ticket,
                agent: agent.id(),
                change,
            });
        }
        self.answer()?;
        for at in 0..self.agents.len() {
            self.exchange(at);
        }
        self.answer()
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Submitted { number } => {
                let builds = self.specs(number);
                let ticket = self.shell.ticket();
                self.shell.hand_in(Input::Submit { ticket, builds });
            }
            Event::Ended { agent, attempt } => self.ended(agent, attempt),
            Event::Asked => self.ask(),
        }
    }

    /// Asks when builds will have ended, and once more later if anything else is to happen until then.
    fn ask(&mut self) {
        let now = self.now();
        let forecasts = forecast::ask(self.shell.core(), self.workload, now);
        self.outcome.forecasts.extend(forecasts);
        if let Some(every) = self.forecast_every.filter(|_| !self.events.is_empty()) {
            let at = now.saturating_add(milliseconds(every).max(1));
            self.events.push(Reverse((at, Event::Asked)));
        }
    }

    /// A builder is done; if its agent was told to forget it, nothing happens.
    fn ended(&mut self, at: usize, attempt: AttemptId) {
        let now = self.now();
        let Some(done) = self.agents[at].end(attempt) else {
            return;
        };
        let job = done.job;
        let row = &self.workload.jobs()[job as usize];
        let made = &mut self.made[row.product as usize];
        made.get_or_insert(now);
        self.outcome.built.push(Built {
            job,
            machine: u32::try_from(at).unwrap_or(u32::MAX),
            slot: done.slot,
            ready_ms: done.ready_ms,
            start_ms: done.start_ms,
            end_ms: now,
        });
        let (copy, node) = self.workload.place(job);
        let outputs = self.workload.copies().built(copy, node);
        let ticket = self.shell.ticket();
        self.shell.hand_in(Input::Report {
            ticket,
            agent: self.agents[at].id(),
            attempt,
            report: Report::Succeeded {
                outputs,
                log: None,
                usage: grange_model::Usage::default(),
            },
        });
        self.start_next(at);
    }

    /// Hears what the core answers, and what it answers to that, until it is silent.
    fn answer(&mut self) -> Result<(), ReplayError> {
        loop {
            let replies = self.shell.settle();
            if replies.is_empty() {
                return Ok(());
            }
            for (ticket, reply) in replies {
                self.hear(ticket, reply)?;
            }
        }
    }

    fn hear(&mut self, ticket: Ticket, reply: Reply) -> Result<(), ReplayError> {
        match reply {
            Reply::Done => {}
            // Another derivation that makes the same fixed output was faster.
            Reply::Denied(denied) if denied.why == DeniedWhy::Conflict => {}
            Reply::Submitted(results) => {
                if let Some(denied) = results.into_iter().find_map(Result::err) {
                    return Err(ReplayError::Refused(denied.message));
                }
            }
            Reply::Exchange(reply) => {
                if let Some(at) = self.waiting.remove(&ticket) {
                    self.obey(at, &reply)?;
                    self.exchange(at);
                }
            }
            Reply::Denied(denied) => return Err(ReplayError::Refused(denied.message)),
            reply @ (Reply::Canceled(_) | Reply::Pruned(_)) => {
                return Err(ReplayError::Refused(format!("{reply:?}")));
            }
        }
        Ok(())
    }

    fn obey(&mut self, at: usize, reply: &ExchangeReply) -> Result<(), ReplayError> {
        let now = self.now();
        for attempt in &reply.drop {
            if let Some(started) = self.agents[at].forget(*attempt) {
                let wasted = &mut self.outcome.wasted_ms;
                *wasted = wasted.saturating_add(now.saturating_sub(started));
            }
        }
        for assigned in &reply.assign {
            self.take(at, assigned)?;
        }
        self.start_next(at);
        Ok(())
    }

    fn take(&mut self, at: usize, assigned: &Assignment) -> Result<(), ReplayError> {
        let Some(job) = self.workload.find(assigned.derivation.digest) else {
            let name = &assigned.derivation.name;
            let what = format!("it assigned {name}, which nobody needs");
            return Err(ReplayError::Refused(what));
        };
        let row = &self.workload.jobs()[job as usize];
        let inputs = self.workload.inputs(job).iter();
        let made = inputs.filter_map(|input| {
            let product = self.workload.jobs()[*input as usize].product;
            self.made[product as usize]
        });
        let ready = made.fold(row.release_ms, u64::max);
        self.agents[at].take(assigned.attempt, job, ready);
        Ok(())
    }

    /// Starts what waits on an agent for room.
    fn start_next(&mut self, at: usize) {
        let now = self.now();
        while let Some((attempt, job)) = self.agents[at].start(now) {
            let duration = self.workload.jobs()[job as usize].duration_ms;
            let takes = self.agents[at].takes(duration);
            let event = Event::Ended { agent: at, attempt };
            self.events
                .push(Reverse((now.saturating_add(takes), event)));
        }
    }

    fn exchange(&mut self, at: usize) {
        let ticket = self.shell.ticket();
        let exchange = self.agents[at].exchange(WAIT_MS);
        self.waiting.insert(ticket, at);
        self.shell.hand_in(Input::Exchange { ticket, exchange });
    }

    /// What a submission asks for: what it names; with floors all else too that nobody has needed before it, as each
    /// build requires something of its own then.
    fn specs(&self, number: usize) -> Vec<BuildSpec> {
        let workload = self.workload;
        let submission = &workload.submissions()[number];
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let place = |node: &u32| (workload.copies().origin(submission.copy, *node), *node);
        let mut places: Vec<_> = submission.derivations.iter().map(place).collect();
        if self.floors.is_some() {
            let jobs = (0..).zip(workload.jobs());
            let fresh = jobs.filter(|(_, job)| job.submission == number);
            places.extend(fresh.map(|(job, _)| workload.place(job)));
            places.sort_unstable();
            places.dedup();
        }
        let requires = |place| {
            let floors = self.floors.as_ref().zip(workload.at(place));
            floors.map_or_else(Tags::new, |(floors, job)| floors.requires(job))
        };
        let spec = |(copy, node)| BuildSpec {
            id: Copies::build(number, node),
            derivation: Copies::digest(copy, node),
            priority: submission.priority,
            tags: Tags::from([("submitter".to_owned(), submission.submitter.clone())]),
            requires: requires((copy, node)),
            limits: Limits {
                timeout_ms: u64::MAX,
                max_silent_ms: u64::MAX,
            },
            again: false,
            inputs: true,
            cause: None,
            resources: grange_model::Resources::new(),
        };
        places.into_iter().map(spec).collect()
    }

    /// Milliseconds from the start.
    fn now(&self) -> u64 {
        milliseconds(self.shell.now().since(self.begun))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
