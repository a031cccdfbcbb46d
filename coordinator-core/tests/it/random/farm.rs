//! A farm to which things happen.

mod fleet;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::{
    ByCriticalPath, ByLocality, ByPriority, BySpeed, ByTags, Config, Input, LookupId, Order,
    Placement, Policy, Reply, Share, Ticket, TimerReason,
};
use grange_model::{
    BuildId, BuildSpec, Digest, Fact, FactNumber, HookRecord, Key, MEMORY, Record, Resources, Tags,
};

use crate::world::World;
use crate::world::names::{Drv, build_id, drv, item_record, spec, tags};

use super::agent::Agent;
use super::chance::Chance;

/// A question, and what the history had under its keys when it was asked.
#[derive(Debug)]
struct Question {
    lookup: LookupId,
    keys: Vec<Key>,
    then: Vec<Option<Record>>,
}

#[derive(Debug)]
pub(crate) struct Farm {
    pub(crate) world: World,
    pub(crate) chance: Chance,
    graph: Vec<Drv>,
    failing: Vec<Digest>,
    agents: Vec<Agent>,
    submissions: BTreeMap<Ticket, Vec<BuildSpec>>,
    pub(crate) acknowledged: BTreeMap<BuildId, Digest>,
    questions: VecDeque<Question>,
    /// What the core must refuse to delete.
    prunes: BTreeMap<Ticket, Vec<Digest>>,
    hook: Option<Ticket>,
    next_build: u128,
    healed: bool,
}

/// With shares or without, with something that is urgent or not.
fn policy(chance: &mut Chance) -> Policy {
    let share = ByTags {
        keys: vec!["team".to_owned(), "user".to_owned()],
        ..ByTags::default()
    };
    let seconds = chance.below(3);
    let mut order: Vec<Arc<dyn Order>> = vec![Arc::new(ByPriority)];
    if chance.one_in(2) {
        order.push(Arc::new(ByCriticalPath));
    }
    let placement = match chance.below(3) {
        0 => None,
        1 => Some(Arc::new(BySpeed) as Arc<dyn Placement>),
        _ => Some(Arc::new(ByLocality) as Arc<dyn Placement>),
    };
    Policy {
        order,
        placement,
        share: chance.one_in(2).then(|| Arc::new(share) as Arc<dyn Share>),
        urgent: chance.one_in(2).then_some(3),
        preempt_after: chance.one_in(2).then_some(Duration::from_secs(seconds)),
        patience: 2,
        ..Policy::default()
    }
}

impl Farm {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let config = Config {
            slice: [1, 2, 5, 20, 4_000][usize::try_from(chance.below(5)).unwrap()],
            policy: Policy {
                lookahead: [1, 3, 64][usize::try_from(chance.below(3)).unwrap()],
                ..policy(&mut chance)
            },
            remember_cancels: Duration::from_secs(chance.below(200)),
            ..Config::default()
        };
        let mut world = World::with(config);
        let graph = graph(&mut chance);
        world.store(&graph);
        let digests = graph.iter().map(|drv| drv.0.item.digest);
        let failing = digests.filter(|_| chance.one_in(8)).collect();
        let agents = (1..=1 + u128::from(chance.below(4))).map(|number| {
            world.add_agent(number);
            Agent::new(number, &mut chance)
        });
        Self {
            agents: agents.collect(),
            world,
            graph,
            failing,
            submissions: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            questions: VecDeque::new(),
            prunes: BTreeMap::new(),
            hook: None,
            next_build: 1,
            healed: false,
            chance,
        }
    }

    /// Whether builds of the derivation may fail.
    pub(crate) fn fails(&self, derivation: Digest) -> bool {
        self.failing.contains(&derivation)
    }

    pub(crate) fn step(&mut self) {
        match self.chance.below(42) {
            0..4 => self.submit(),
            4 => self.cancel(),
            5..14 => self.agent_speaks(),
            14..19 => self.agent_works(),
            19..22 => self.write(),
            22..26 => self.answer(),
            26..30 => self.work(),
            30 => self.time(1_000),
            31 => self.time(90_000),
            32 => self.agent_stumbles(),
            33 if self.chance.one_in(3) => self.crash(),
            34..37 => self.follow(),
            37 => self.upload(),
            38 => self.repeat_exchange(),
            39..41 => self.prune(),
            _ => self.time(10),
        }
        self.poll();
    }

    /// From now on nothing goes wrong, until every build has ended.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.agents.iter_mut().for_each(Agent::heal);
        for round in 0..400 {
            if round % 40 == 0 {
                self.submit_all();
            }
            for _ in 0..4 {
                self.poll();
                self.write();
                self.poll();
                while !self.questions.is_empty() {
                    self.answer();
                }
                self.work_off();
            }
            for at in 0..self.agents.len() {
                self.exchange(at, 0);
                self.poll();
                self.write();
                self.poll();
                self.hear(at);
                self.report_all(at);
                self.poll();
                self.hear(at);
            }
            self.follow();
            let long = self.chance.one_in(10);
            self.time(if long { 61_000 } else { 500 });
            let quiet = self.world.commit.is_none() && self.submissions.is_empty();
            if quiet && self.hook.is_none() && self.is_done() {
                return;
            }
        }
        let left: Vec<_> = self.world.core.builds(None).collect();
        let left = left.iter().map(|status| {
            let why = self.world.core.why(status.record.spec.id);
            format!("{:?}: {why:?} {status:?}", status.record.derivation.name)
        });
        let left: Vec<_> = left.collect();
        panic!(
            "builds do not end: {left:#?}, {} to answer",
            self.submissions.len()
        );
    }

    /// Somebody asks for everything: also for inputs of builds that shall have no implicit ones, of
    /// which otherwise a hook would take care.
    fn submit_all(&mut self) {
        let all = self.graph.iter().map(|drv| drv.0.item.name.clone());
        let all: Vec<_> = all.collect();
        for name in all {
            let spec = spec(self.next_build, &name);
            self.next_build += 1;
            self.send(vec![spec]);
        }
    }

    fn is_done(&self) -> bool {
        let works = matches!(self.world.core.poll_timeout(), Some((_, TimerReason::Work)));
        let followed = self.cursor().0 == self.world.history.last_fact().0;
        self.world.core.builds(None).next().is_none() && !works && followed
    }

    fn poll(&mut self) {
        self.world.poll();
        while let Some((lookup, keys)) = self.world.lookups.pop_front() {
            let then = keys.iter().map(|key| self.world.history.get(key)).collect();
            self.questions.push_back(Question { lookup, keys, then });
        }
        self.read_replies();
    }

    fn read_replies(&mut self) {
        let tickets: Vec<_> = self.submissions.keys().copied().collect();
        for ticket in tickets {
            let Some(reply) = self.world.replies.remove(&ticket) else {
                continue;
            };
            let specs = self.submissions.remove(&ticket).unwrap();
            let Reply::Submitted(results) = reply else {
                panic!("{reply:?}");
            };
            assert_eq!(results.len(), specs.len());
            for (spec, result) in specs.into_iter().zip(results) {
                if result.is_ok() {
                    let history = &self.world.history;
                    let kept =
                        history.finished(spec.id).is_some() || history.build(spec.id).is_some();
                    assert!(kept, "{} was accepted and is not there", spec.id);
                    self.acknowledged.insert(spec.id, spec.derivation);
                }
            }
        }
        let replies = &mut self.world.replies;
        self.prunes.retain(|ticket, needed| {
            let reply = replies.remove(ticket);
            assert!(reply.is_none() || reply == Some(Reply::Pruned(needed.clone())));
            reply.is_none()
        });
        if let Some(hook) = self.hook
            && self.world.replies.remove(&hook).is_some()
        {
            self.hook = None;
        }
    }

    fn send(&mut self, builds: Vec<BuildSpec>) {
        let ticket = self.world.ticket();
        self.submissions.insert(ticket, builds.clone());
        self.world.input(Input::Submit { ticket, builds });
    }

    fn submit(&mut self) {
        let count = 1 + self.chance.below(4);
        let builds = (0..count).map(|_| self.some_build()).collect();
        self.send(builds);
    }

    fn some_build(&mut self) -> BuildSpec {
        let name = self.chance.pick(&self.graph).unwrap().0.item.name.clone();
        let number = if self.chance.one_in(8) {
            1 + u128::from(self.chance.below(u64::try_from(self.next_build).unwrap()))
        } else {
            self.next_build += 1;
            self.next_build
        };
        let requires = match self.chance.below(10) {
            0 => tags(&[("year", "2019")]),
            1 => tags(&[("big", "yes")]),
            _ => Tags::new(),
        };
        let team = ["a", "b"][usize::try_from(self.chance.below(2)).unwrap()];
        let user = ["x", "y", "z"][usize::try_from(self.chance.below(3)).unwrap()];
        let memory = [0, 0, 0, 10, 50, 100][usize::try_from(self.chance.below(6)).unwrap()];
        BuildSpec {
            priority: i32::try_from(self.chance.below(7)).unwrap() - 3,
            tags: tags(&[("team", team), ("user", user)]),
            resources: Resources::from([(MEMORY.to_owned(), memory)]),
            requires,
            again: self.chance.one_in(7),
            inputs: !self.chance.one_in(7),
            ..spec(number, &name)
        }
    }

    fn cancel(&mut self) {
        let ticket = self.world.ticket();
        let unfinished: Vec<_> = self.world.core.builds(None).collect();
        let id = match self.chance.pick(&unfinished) {
            Some(status) => status.record.spec.id,
            None => build_id(1),
        };
        let builds = vec![id];
        self.world.input(Input::Cancel { ticket, builds });
    }

    /// Somebody uploads a source that is what a derivation makes, too.
    fn upload(&mut self) {
        let fixed = self.graph.iter().flat_map(|drv| &drv.0.outputs);
        let fixed: Vec<_> = fixed
            .filter(|output| !output.item.name.contains(':'))
            .collect();
        let Some(output) = self.chance.pick(&fixed) else {
            return;
        };
        let key = Key::Item(output.item.digest);
        // A client uploads only what is lacking, as far as the shell knows.
        if self.world.history.records.contains_key(&key) || self.world.commit.is_some() {
            return;
        }
        let record = item_record(&output.item, &output.item, 0);
        let ticket = self.world.ticket();
        let records = vec![Record::Item(record)];
        self.world.input(Input::Store { ticket, records });
    }

    /// Some outputs are to go; those that builds make or need do not.
    fn prune(&mut self) {
        let outputs = self.graph.iter().flat_map(|drv| &drv.0.outputs);
        let outputs = outputs.map(|output| output.item.digest);
        let there: Vec<_> = outputs
            .filter(|output| self.world.history.has_item(*output))
            .collect();
        let Some(output) = self.chance.pick(&there).copied() else {
            return;
        };
        let ticket = self.world.ticket();
        let needed = self.world.core.needed(&[output]);
        let outputs = vec![output];
        self.world.input(Input::Prune { ticket, outputs });
        self.prunes.insert(ticket, needed);
    }

    fn write(&mut self) {
        self.world.write_commit();
    }

    /// The answer may be what was there when the question came, or what is there now.
    fn answer(&mut self) {
        if self.questions.is_empty() {
            return;
        }
        let at = self.chance.below(self.questions.len() as u64);
        let at = usize::try_from(at).unwrap();
        let Some(question) = self.questions.remove(at) else {
            return;
        };
        let Question { lookup, keys, then } = question;
        let now = || keys.iter().map(|key| self.world.history.get(key)).collect();
        let records = if self.chance.one_in(2) { then } else { now() };
        self.world.input(Input::Found { lookup, records });
    }

    fn work(&mut self) {
        self.world.core.handle_timeout(self.world.now);
        self.world.check();
    }

    fn work_off(&mut self) {
        while matches!(self.world.core.poll_timeout(), Some((_, TimerReason::Work))) {
            self.work();
        }
    }

    fn time(&mut self, milliseconds: u64) {
        self.world.now.0 += milliseconds;
        self.work();
    }

    /// The core is gone. What it had asked to write may have been written or not.
    fn crash(&mut self) {
        if let Some((seq, batch)) = self.world.commit.take()
            && self.chance.one_in(2)
        {
            self.world.history.commit(seq, &batch);
        }
        self.questions.clear();
        self.submissions.clear();
        self.prunes.clear();
        self.hook = None;
        for agent in &mut self.agents {
            agent.waits = None;
            agent.held.values_mut().for_each(|held| held.report = None);
        }
        self.world.restart();
    }

    fn cursor(&self) -> FactNumber {
        match self.world.history.get(&Key::Hook("reopen".to_owned())) {
            Some(Record::Hook(record)) => record.cursor,
            _ => FactNumber(0),
        }
    }

    /// A hook reads on, and reopens what waits for an output that has come.
    fn follow(&mut self) {
        if self.hook.is_some() {
            return;
        }
        let history = &self.world.history;
        let behind = usize::try_from(self.cursor().0).unwrap();
        let facts = &history.facts[behind..];
        let came = |fact: &Fact| matches!(fact, Fact::Available { .. });
        let Some(last) = facts.last() else {
            return;
        };
        let next = facts.iter().find(|fact| came(&fact.fact)).unwrap_or(last);
        let reopen = match next.fact {
            Fact::Available { output } => {
                let waits = history.all_finished().filter(|finished| {
                    let mut causes = finished.causes.iter();
                    causes.any(|cause| cause.output == output)
                });
                waits.collect()
            }
            _ => Vec::new(),
        };
        let record = HookRecord {
            name: "reopen".to_owned(),
            cursor: next.number,
            dead_letters: Vec::new(),
        };
        let ticket = self.world.ticket();
        self.hook = Some(ticket);
        self.world.input(Input::Hook {
            ticket,
            record,
            builds: Vec::new(),
            reopen,
        });
    }
}

/// A graph without cycles: some with several outputs, some that make the same.
fn graph(chance: &mut Chance) -> Vec<Drv> {
    let mut graph: Vec<Drv> = Vec::new();
    for number in 0..3 + chance.below(14) {
        let mut new = drv(&format!("d{number}"));
        match chance.below(8) {
            0 => new = new.also("lib"),
            1 => new = new.also("lib").also("doc"),
            2 => new = new.fixed(&format!("f{}", chance.below(3))),
            3 => new = new.system("i686-linux"),
            4 => new = new.system("builtin"),
            5 => new = new.feature("kvm"),
            _ => {}
        }
        for _ in 0..chance.below(4) {
            if let Some(other) = chance.pick(&graph) {
                let record = &other.0;
                let output = chance.pick(&record.outputs).unwrap();
                let (of, output) = (&record.item.name, &output.item.name);
                // An item that a build both needs and makes would be of no hash.
                if new.0.outputs.iter().all(|own| own.item.name != *output) {
                    new = new.needs_output(of, output);
                }
            }
        }
        new.0.inputs.dedup();
        graph.push(new);
    }
    graph
}
