//! What a seed stands for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::{
    ByCriticalPath, ByPriority, ByTags, Capacity, Config, Order, Policy, Share,
};
use grange_model::{
    AgentId, BuildId, BuildSpec, DerivationRecord, Digest, Limits, MEMORY, Resources, Tags,
};
use uuid::Uuid;

use super::{Action, AgentPlan, Fault, Scenario, StorePlan, Weather, graph};
use crate::dice::Dice;
use crate::time::Moment;

impl Scenario {
    /// The scenario of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // Most farms are small, so that much happens to each build.
        let size = match dice.below(10) {
            0..5 => dice.between(3, 20),
            5..9 => dice.between(20, 60),
            _ => dice.between(60, 250),
        };
        let graph = graph::draw(&mut dice, size);
        let often = dice.between(6, 30);
        let digests = graph.iter().map(|derivation| derivation.item.digest);
        let failing = digests.filter(|_| dice.one_in(often)).collect();
        let agents: Vec<_> = (1..=dice.between(1, 6))
            .map(|it| agent(&mut dice, it))
            .collect();
        let heal_at = Moment::milliseconds(dice.between(60_000, 1_500_000));
        let actions = actions(&mut dice, &graph, &agents, heal_at);
        let faults = faults(&mut dice, agents.len(), heal_at);
        let calm = dice.one_in(4);
        let rate = |dice: &mut Dice, most| {
            let most = if calm { 0 } else { most };
            u32::try_from(dice.between(0, most)).unwrap_or(0)
        };
        Self {
            seed,
            failing,
            config: config(&mut dice),
            agents,
            actions,
            faults,
            weather: Weather {
                delay_us: dice.between(50, 30_000),
                jitter_us: dice.between(10, 200_000),
                loss: rate(&mut dice, 120),
                twice: rate(&mut dice, 60),
                garbled: rate(&mut dice, 30),
            },
            store: StorePlan {
                commit_us: dice.between(100, 20_000),
                jitter_us: dice.between(10, 100_000),
                failures: rate(&mut dice, 80),
                rot: rate(&mut dice, 20),
            },
            heal_at,
            graph,
        }
    }
}

fn config(dice: &mut Dice) -> Config {
    Config {
        slice: dice.pick(&[1, 2, 5, 20, 2_000]).copied().unwrap_or(2_000),
        policy: policy(dice),
        lease: Duration::from_secs(dice.between(15, 90)),
        remember_cancels: Duration::from_secs(dice.between(1, 300)),
        setup_backoff: Duration::from_secs(dice.between(1, 30)),
        ..Config::default()
    }
}

fn policy(dice: &mut Dice) -> Policy {
    let share = ByTags {
        keys: vec!["team".to_owned(), "user".to_owned()],
        ..ByTags::default()
    };
    let mut order: Vec<Arc<dyn Order>> = vec![Arc::new(ByPriority)];
    if dice.one_in(2) {
        order.push(Arc::new(ByCriticalPath));
    }
    Policy {
        order,
        share: dice.one_in(2).then(|| Arc::new(share) as Arc<dyn Share>),
        urgent: dice.one_in(2).then_some(2),
        preempt_after: dice
            .one_in(2)
            .then(|| Duration::from_millis(dice.between(0, 20_000))),
        patience: dice.pick(&[1, 3, 32]).copied().unwrap_or(32),
        lookahead: dice.pick(&[1, 3, 64]).copied().unwrap_or(64),
        ..Policy::default()
    }
}

fn agent(dice: &mut Dice, number: u64) -> AgentPlan {
    let mut capacity = Capacity {
        systems: vec!["x86_64-linux".to_owned(), "builtin".to_owned()],
        parallel: u32::try_from(dice.between(1, 4)).unwrap_or(1),
        ahead: u32::try_from(dice.below(2)).unwrap_or(0),
        ..Capacity::default()
    };
    if dice.one_in(2) {
        capacity.systems.push("i686-linux".to_owned());
    }
    match dice.below(5) {
        0 => capacity.tags = tags(&[("feature:kvm", "yes")]),
        1 => {
            capacity.tags = tags(&[("year", "2019")]);
            capacity.exclusive = vec!["year".to_owned()];
        }
        2 => capacity.tags = tags(&[("big", "yes"), ("feature:kvm", "yes")]),
        _ => {}
    }
    if dice.one_in(2) {
        let memory = (MEMORY.to_owned(), dice.between(1, 3) * 50);
        capacity.resources = [memory].into();
    }
    let skew = dice.between(0, 4_000);
    AgentPlan {
        id: AgentId(Uuid::from_u128(u128::from(number))),
        capacity,
        build_ms: dice.between(5, 30_000),
        setup_failures: u32::try_from(dice.between(0, 80)).unwrap_or(0),
        lies: if dice.one_in(3) { 100 } else { 0 },
        offset_ms: i64::try_from(skew).unwrap_or(0) - 2_000,
        drift: i64::try_from(dice.between(0, 1_000)).unwrap_or(0) - 500,
    }
}

pub(crate) fn tags(of: &[(&str, &str)]) -> Tags {
    let owned = of
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    owned.collect()
}

fn moment(dice: &mut Dice, until: Moment) -> Moment {
    Moment(dice.below(until.0))
}

fn actions(
    dice: &mut Dice,
    graph: &[DerivationRecord],
    agents: &[AgentPlan],
    until: Moment,
) -> Vec<(Moment, Action)> {
    let mut actions = Vec::new();
    let mut number = 0;
    let mut minted: Vec<BuildId> = Vec::new();
    for _ in 0..dice.between(5, 20 + graph.len() as u64) {
        let action = match dice.below(40) {
            0..4 => dice.pick(&minted).map(|id| Action::Cancel(*id)),
            4 => some_output(dice, graph).map(|output| Action::Send(output.1)),
            5..7 => dice.pick(graph).map(|it| Action::Prune(it.item.digest)),
            7 => dice
                .pick(agents)
                .map(|it| (it.id, false))
                .map(|(id, _)| Action::Pause(id, dice.one_in(2))),
            _ => {
                let count = if dice.one_in(12) { 40 } else { 5 };
                let builds = (0..dice.between(1, count)).filter_map(|_| {
                    let spec = some_build(dice, graph, &minted, &mut number)?;
                    minted.push(spec.id);
                    Some(spec)
                });
                Some(Action::Submit(builds.collect()))
            }
        };
        actions.extend(action.map(|action| (moment(dice, until), action)));
    }
    // What is canceled was asked for before, mostly.
    actions.sort_by_key(|(at, _)| *at);
    actions
}

fn some_output<'a>(
    dice: &mut Dice,
    graph: &'a [DerivationRecord],
) -> Option<(&'a DerivationRecord, Digest)> {
    // Clients send sources; only what is known by its content may be an output as well.
    let fixed: Vec<_> = graph
        .iter()
        .filter(|derivation| derivation.outputs[0].item.name.starts_with('f'))
        .collect();
    let derivation = *dice.pick(&fixed)?;
    Some((derivation, derivation.outputs[0].item.digest))
}

/// How a build's identifier says who minted it.
pub(crate) fn build_id(minter: u64, number: u64) -> BuildId {
    BuildId(Uuid::from_u128(
        u128::from(minter) << 64 | u128::from(number),
    ))
}

/// A request with nothing special about it.
pub(crate) fn spec(id: BuildId, derivation: Digest) -> BuildSpec {
    BuildSpec {
        id,
        derivation,
        priority: 0,
        tags: Tags::new(),
        requires: Tags::new(),
        limits: Limits {
            timeout_ms: 3_600_000,
            max_silent_ms: 3_600_000,
        },
        again: false,
        inputs: true,
        cause: None,
        resources: Resources::new(),
    }
}

fn some_build(
    dice: &mut Dice,
    graph: &[DerivationRecord],
    minted: &[BuildId],
    number: &mut u64,
) -> Option<BuildSpec> {
    let derivation = dice.pick(graph)?;
    *number += 1;
    let id = match dice.pick(minted) {
        // The same again, or by mistake another derivation under it.
        Some(id) if dice.one_in(12) => *id,
        _ => build_id(1, *number),
    };
    let requires = match dice.below(12) {
        0 => tags(&[("year", "2019")]),
        1 => tags(&[("big", "yes")]),
        _ => Tags::new(),
    };
    let team = dice.pick(&["a", "b"]).copied().unwrap_or("a");
    let user = dice.pick(&["x", "y", "z"]).copied().unwrap_or("x");
    let memory = dice.pick(&[0, 0, 0, 10, 50, 100]).copied().unwrap_or(0);
    Some(BuildSpec {
        priority: i32::try_from(dice.below(7)).unwrap_or(0) - 3,
        tags: tags(&[("team", team), ("user", user)]),
        resources: [(MEMORY.to_owned(), memory)].into(),
        requires,
        again: dice.one_in(9),
        inputs: !dice.one_in(7),
        ..spec(id, derivation.item.digest)
    })
}

fn faults(dice: &mut Dice, agents: usize, until: Moment) -> Vec<(Moment, Fault)> {
    let mut faults = Vec::new();
    let kinds: BTreeSet<u64> = (0..14).filter(|_| dice.one_in(2)).collect();
    for _ in 0..dice.between(0, 24) {
        let kind = dice.below(14);
        let long = dice.one_in(4);
        let time = dice.between(10, if long { 200_000 } else { 5_000 });
        let agent = dice.index(agents).unwrap_or(0);
        let jump = i64::try_from(dice.between(0, 7_200_000)).unwrap_or(0) - 3_600_000;
        if !kinds.contains(&kind) {
            continue;
        }
        let fault = match kind {
            0 | 1 => Fault::CrashCoordinator(time),
            2 => Fault::TakeOver,
            3 => Fault::CrashAgent(agent, time),
            4 => Fault::Sleep(agent, time),
            5 => Fault::CutAgent(agent, time),
            6 => Fault::CutClients(time),
            7 => Fault::CutAll(time),
            8 if dice.one_in(2) => Fault::SetClock(jump),
            8 => Fault::SetAgentClock(agent, jump),
            9 => Fault::Stall(time),
            10 => Fault::FailCommits(time),
            11 => Fault::FullDisk(time),
            12 => Fault::CutAnswers(agent, time),
            _ => Fault::FailHook(time),
        };
        faults.push((moment(dice, until), fault));
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_stands_for_one_scenario() {
        let said = |seed| format!("{:?}", Scenario::draw(seed));
        assert_eq!(said(3), said(3));
        assert_ne!(said(3), said(4));
    }

    #[test]
    fn every_fault_comes_up() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            for (_, fault) in Scenario::draw(seed).faults {
                let said = format!("{fault:?}");
                seen.insert(said.split('(').next().unwrap_or_default().to_owned());
            }
        }
        assert_eq!(seen.len(), 14, "{seen:?}");
    }
}
