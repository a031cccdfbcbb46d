//! What an operation is, as things stand: what is handed to both.

use std::collections::{BTreeMap, BTreeSet};

use grange_coordinator_core::{
    AgentChange, AttemptPhase, Capacity, Exchange, Input, Report, Ticket,
};
use grange_model::{
    AgentId, AgentRecord, AttemptId, BuildSpec, DerivationRecord, Digest, Fact, FactNumber,
    FailureKind, HookRecord, Item, Limits, Record, SetupProblem, Tags, Timestamp, UpstreamRecord,
};

use super::drive::Drive;
use super::names::{agent_id, build_id, item, item_record, session_id};
use super::op::{Op, Outcome, Want};
use super::sketch::pick;

/// How many agents there are at most.
const AGENTS: u8 = 4;

/// Under which name the hook's cursor is kept.
pub(super) const HOOK: &str = "reference";

/// Clients and agents: who says what.
#[derive(Debug)]
pub(super) struct Cast {
    records: Vec<DerivationRecord>,
    outputs: Vec<Item>,
    next_build: u64,
    next_ticket: u64,
    variants: u64,
    /// The core finishes what it began before it does anything else. If not, agents do not wait for something to do, which
    /// they would be given in the middle of a step, builds are asked for one by one, and none are made for their inputs: these may
    /// end, because nobody needs them, before it is the turn of who does.
    whole_steps: bool,
    pub(super) agents: BTreeMap<AgentId, Client>,
    /// Every attempt that ever was.
    pub(super) attempts: Vec<(AttemptId, AgentId, Digest)>,
}

/// An agent's own side.
#[derive(Debug, Default)]
pub(super) struct Client {
    session: u64,
    revision: u64,
    pub(super) held: BTreeSet<AttemptId>,
    pub(super) waits: Option<Ticket>,
}

impl Cast {
    pub(super) fn new(records: Vec<DerivationRecord>, whole_steps: bool) -> Self {
        let outputs = records.iter().flat_map(|record| &record.outputs);
        let outputs: BTreeSet<_> = outputs.map(|output| output.item.clone()).collect();
        Self {
            records,
            outputs: outputs.into_iter().collect(),
            next_build: 0,
            next_ticket: 0,
            variants: 0,
            whole_steps,
            agents: BTreeMap::new(),
            attempts: Vec::new(),
        }
    }

    pub(super) fn records(&self) -> &[DerivationRecord] {
        &self.records
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// What to hand in; nothing, if there is nothing of what the operation names.
    pub(super) fn inputs(&mut self, now: Timestamp, drive: &Drive, op: &Op) -> Vec<Input> {
        let one = match op {
            Op::Submit { builds } => {
                let most = if self.whole_steps { 4 } else { 1 };
                let builds = builds
                    .iter()
                    .take(most)
                    .map(|want| self.spec(want))
                    .collect();
                let ticket = self.ticket();
                Some(Input::Submit { ticket, builds })
            }
            Op::Collide { first, derivation } => return self.collide(first, *derivation),
            Op::Cancel { build } => {
                let ids: Vec<_> = drive
                    .core
                    .builds(None)
                    .map(|it| it.record.spec.id)
                    .collect();
                let ticket = self.ticket();
                pick(&ids, *build).map(|id| Input::Cancel {
                    ticket,
                    builds: vec![*id],
                })
            }
            Op::Upload { output } => self.upload(drive, *output),
            Op::Upstream { output } => pick(&self.outputs, *output)
                .cloned()
                .map(|output| self.upstream(&output)),
            Op::Gone { output, returns } => return self.gone(drive, *output, *returns),
            Op::Prune { output, two } => {
                let outputs = [Some(*output), two.then(|| output.wrapping_add(1))];
                let outputs = outputs.iter().flatten();
                let outputs = outputs.filter_map(|it| Some(pick(&self.outputs, *it)?.digest));
                let outputs: BTreeSet<_> = outputs.collect();
                let outputs: Vec<_> = outputs.into_iter().collect();
                let ticket = self.ticket();
                (!outputs.is_empty()).then_some(Input::Prune { ticket, outputs })
            }
            Op::Agent { agent } => Some(self.new_agent(now, *agent)),
            Op::Pause { agent, paused } => Some(self.change(*agent, AgentChange::Pause(*paused))),
            Op::Tags { agent, offers } => {
                let tags = match offers % 4 {
                    0 => Tags::new(),
                    1 => tags(&[("year", "2019")]),
                    2 => tags(&[("feature:kvm", "yes")]),
                    _ => tags(&[("big", "no")]),
                };
                Some(self.change(*agent, AgentChange::Tags(tags)))
            }
            Op::Delete { agent } => Some(self.change(*agent, AgentChange::Delete)),
            Op::Exchange {
                agent,
                says,
                offers,
                waits,
            } => Some(self.exchange(*agent, *says, *offers, *waits)),
            Op::Report {
                attempt,
                outcome,
                by_another,
            } => self.report(*attempt, *outcome, *by_another),
            Op::Follow => self.follow(drive),
            Op::Pass { .. } | Op::Restart | Op::Cut { .. } => None,
        };
        one.into_iter().collect()
    }

    fn spec(&mut self, want: &Want) -> BuildSpec {
        let earlier = (u64::from(want.name) / 8).checked_rem(self.next_build);
        let number = match earlier {
            Some(earlier) if want.name.is_multiple_of(8) => earlier,
            _ => {
                self.next_build += 1;
                self.next_build - 1
            }
        };
        let at = usize::from(want.derivation) % (self.records.len() + 1);
        let derivation = self.records.get(at).map(|record| record.item.digest);
        BuildSpec {
            id: build_id(number),
            derivation: derivation.unwrap_or_else(|| item(b'?', 0, 0).digest),
            priority: i32::from(want.priority % 7) - 3,
            tags: Tags::new(),
            requires: match want.requires % 6 {
                0 => tags(&[("year", "2019")]),
                1 => tags(&[("big", "yes")]),
                _ => Tags::new(),
            },
            limits: Limits {
                timeout_ms: 1_000,
                max_silent_ms: 100,
            },
            again: want.again,
            inputs: want.inputs && self.whole_steps,
            cause: None,
            resources: grange_model::Resources::new(),
        }
    }

    fn collide(&mut self, first: &Want, derivation: u8) -> Vec<Input> {
        let first = self.spec(first);
        let Some(other) = pick(&self.records, derivation) else {
            return Vec::new();
        };
        let second = BuildSpec {
            derivation: other.item.digest,
            inputs: false,
            ..first.clone()
        };
        let asked = [first, second].map(|spec| Input::Submit {
            ticket: self.ticket(),
            builds: vec![spec],
        });
        asked.into()
    }

    /// A client uploads only what is lacking.
    fn upload(&mut self, drive: &Drive, output: u8) -> Option<Input> {
        let output = pick(&self.outputs, output)?.clone();
        let key = grange_model::Key::Item(output.digest);
        if drive.store.records.contains_key(&key) {
            return None;
        }
        self.variants += 1;
        let records = vec![Record::Item(item_record(&output, self.variants))];
        let ticket = self.ticket();
        Some(Input::Store { ticket, records })
    }

    fn upstream(&mut self, output: &Item) -> Input {
        let there = item_record(output, 0);
        let record = UpstreamRecord {
            item: there.item,
            store: there.store,
            nar_hash: there.nar_hash,
            nar_size: there.nar_size,
            references: Vec::new(),
            deriver: None,
        };
        Input::Store {
            ticket: self.ticket(),
            records: vec![Record::Upstream(record)],
        }
    }

    /// Only what lies not here, too, is said to be gone.
    fn gone(&mut self, drive: &Drive, output: u8, returns: bool) -> Vec<Input> {
        let has = |key| drive.store.records.contains_key(&key);
        let only = self.outputs.iter().filter(|output| {
            let here = has(grange_model::Key::Item(output.digest));
            has(grange_model::Key::Upstream(output.digest)) && !here
        });
        let only: Vec<_> = only.cloned().collect();
        let Some(output) = pick(&only, output) else {
            return Vec::new();
        };
        let ticket = self.ticket();
        let outputs = vec![output.digest];
        let gone = Input::GoneUpstream { ticket, outputs };
        let back = returns.then(|| self.upstream(output));
        [Some(gone), back].into_iter().flatten().collect()
    }

    fn new_agent(&mut self, now: Timestamp, agent: u8) -> Input {
        let record = AgentRecord {
            id: agent_id(agent % AGENTS),
            name: format!("agent {agent}"),
            tags: Tags::new(),
            passwords: Vec::new(),
            paused: false,
            created_at: now,
        };
        self.change(agent, AgentChange::New(record))
    }

    fn change(&mut self, agent: u8, change: AgentChange) -> Input {
        Input::Agent {
            ticket: self.ticket(),
            agent: agent_id(agent % AGENTS),
            change,
        }
    }

    fn exchange(&mut self, agent: u8, says: u8, offers: u8, waits: bool) -> Input {
        let ticket = self.ticket();
        let waits = waits && self.whole_steps;
        let agent = agent_id(agent % AGENTS);
        let mut own = self.attempts.iter().filter(|(_, of, _)| *of == agent);
        let earliest = own.next().map(|(id, ..)| *id);
        let client = self.agents.entry(agent).or_default();
        let says = says % 8;
        if says < 2 {
            client.session += 1;
            client.revision = 0;
        }
        if says == 0 {
            client.held.clear();
        }
        client.revision += 1;
        client.waits = Some(ticket);
        let phase = if says == 4 {
            AttemptPhase::Uploading
        } else {
            AttemptPhase::Building
        };
        let named = earliest.filter(|_| says == 2);
        let named: BTreeSet<_> = client.held.iter().copied().chain(named).collect();
        Input::Exchange {
            ticket,
            exchange: Exchange {
                agent,
                session: session_id(client.session - u64::from(says == 5 && client.session > 0)),
                revision: if says == 3 { 0 } else { client.revision },
                capacity: capacity(offers),
                health: grange_coordinator_core::Health::default(),
                attempts: named.into_iter().map(|id| (id, phase)).collect(),
                wait_ms: if waits { 20_000 } else { 0 },
            },
        }
    }

    fn report(&mut self, attempt: u8, outcome: Outcome, by_another: bool) -> Option<Input> {
        let attempts: Vec<_> = self.attempts.iter().rev().copied().collect();
        let (attempt, agent, derivation) = *pick(&attempts, attempt)?;
        let record = self.records.iter();
        let record = record
            .clone()
            .find(|it| it.item.digest == derivation)?
            .clone();
        self.variants += 1;
        let message = "it went wrong".to_owned();
        let report = match outcome {
            Outcome::Success | Outcome::WrongOutputs => {
                let outputs = record.outputs.iter();
                let outputs = outputs.map(|output| item_record(&output.item, self.variants));
                let wrong = outcome == Outcome::WrongOutputs;
                Report::Succeeded {
                    outputs: outputs.skip(usize::from(wrong)).collect(),
                    log: None,
                    usage: grange_model::Usage::default(),
                }
            }
            Outcome::Failure => Report::Failed {
                kind: FailureKind::Exit(1),
                message,
                log: None,
                usage: grange_model::Usage::default(),
            },
            Outcome::DiskFull => Report::SetupFailed {
                problem: SetupProblem::DiskFull,
                message,
            },
            Outcome::MissingInput => {
                let missing = record.inputs.iter().take(1).map(|input| input.output);
                Report::SetupFailed {
                    problem: SetupProblem::MissingInputs(missing.collect()),
                    message,
                }
            }
        };
        let agent = if by_another { self.other(agent) } else { agent };
        Some(Input::Report {
            ticket: self.ticket(),
            agent,
            attempt,
            report,
        })
    }

    fn other(&self, agent: AgentId) -> AgentId {
        let all = (0..AGENTS).map(agent_id);
        all.into_iter().find(|it| *it != agent).unwrap_or(agent)
    }

    /// The hook hears of facts, up to an output that came.
    fn follow(&mut self, drive: &Drive) -> Option<Input> {
        let behind = usize::try_from(drive.store.cursor(HOOK)).unwrap_or(usize::MAX);
        let facts = drive.store.facts.get(behind..)?;
        let came = |fact: &Fact| matches!(fact, Fact::Available { .. });
        let next = facts.iter().find(|fact| came(&fact.fact));
        let next = next.or_else(|| facts.last())?;
        let reopen = match next.fact {
            Fact::Available { output } => {
                let lacks = |causes: &[grange_model::LostCause]| {
                    causes.iter().any(|cause| cause.output == output)
                };
                let ended = drive.store.all_finished();
                ended.filter(|end| lacks(&end.causes)).cloned().collect()
            }
            _ => Vec::new(),
        };
        let record = HookRecord {
            name: HOOK.to_owned(),
            cursor: FactNumber(next.number.0),
            dead_letters: Vec::new(),
        };
        Some(Input::Hook {
            ticket: self.ticket(),
            record,
            builds: Vec::new(),
            reopen,
        })
    }

    /// The coordinator is gone: nobody waits for its answers.
    pub(super) fn hang_up(&mut self) {
        for client in self.agents.values_mut() {
            client.waits = None;
        }
    }
}

fn tags(of: &[(&str, &str)]) -> Tags {
    let owned = of
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    owned.collect()
}

fn capacity(offers: u8) -> Capacity {
    let kind = offers % 8;
    let both = kind.is_multiple_of(2);
    let systems = ["x86_64-linux", "i686-linux"];
    Capacity {
        systems: systems
            .iter()
            .take(1 + usize::from(both))
            .map(ToString::to_string)
            .collect(),
        tags: match kind {
            2 => tags(&[("year", "2019"), ("big", "yes")]),
            3 => tags(&[("feature:kvm", "yes")]),
            4 => tags(&[("year", "2019")]),
            _ => Tags::new(),
        },
        exclusive: if kind == 4 {
            vec!["year".to_owned()]
        } else {
            Vec::new()
        },
        parallel: if kind == 7 {
            0
        } else {
            u32::from(1 + offers / 8 % 3)
        },
        ahead: u32::from(offers / 32 % 2),
        resources: grange_model::Resources::new(),
        admission: grange_coordinator_core::Admission::default(),
        speed: 0,
    }
}
