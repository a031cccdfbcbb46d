//! How what agents can do is shared, and what is urgent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::{Assignment, ByTags, Config, Policy, Why};
use grange_model::{AttemptOutcome, BuildSpec, BuildState, Fact, Occasion};

use crate::world::World;
use crate::world::names::{build_id, capacity, digest, drv, spec, tags};

/// Shared by team, then by user.
fn by_team(weights: &[(&[&str], u32)]) -> Policy {
    let names = |path: &[&str]| path.iter().map(|it| (*it).to_owned()).collect();
    let weights = weights.iter().map(|(path, weight)| (names(path), *weight));
    let share = ByTags {
        keys: vec!["team".to_owned(), "user".to_owned()],
        weights: weights.collect::<BTreeMap<_, _>>(),
    };
    Policy {
        share: Some(Arc::new(share)),
        ..Policy::default()
    }
}

fn world(policy: Policy) -> World {
    World::with(Config {
        policy,
        ..Config::default()
    })
}

/// A build of a derivation of its own.
fn ask(world: &mut World, number: u128, of: &[(&str, &str)], priority: i32) {
    let name = format!("d{number}");
    world.store(&[drv(&name)]);
    world.build(BuildSpec {
        tags: tags(of),
        priority,
        ..spec(number, &name)
    });
}

/// A farm with agents of one place each, on which each build takes as long as its group's builds do.
struct Farm {
    world: World,
    /// What each agent has, and when it ends.
    held: Vec<Option<(Assignment, u64)>>,
    now: u64,
    next: u128,
    /// Milliseconds of agents, by team and user.
    had: BTreeMap<(String, String), u64>,
}

impl Farm {
    fn new(policy: Policy, agents: usize) -> Self {
        Self {
            world: world(policy),
            held: vec![None; agents],
            now: 0,
            next: 1,
            had: BTreeMap::new(),
        }
    }

    /// Each of these always has some ready builds, that take so long; until then.
    fn run(&mut self, who: &[(&str, &str, u64)], until: u64) {
        while self.now < until {
            for (team, user, _) in who {
                self.keep_ready(team, user);
            }
            for agent in 0..self.held.len() {
                self.turn(agent, who);
            }
            self.world.pass(5_000);
            self.now += 5_000;
        }
    }

    fn keep_ready(&mut self, team: &str, user: &str) {
        let is_theirs = |status: &grange_coordinator_core::BuildStatus| {
            let tags = &status.record.spec.tags;
            status.state == BuildState::Ready && tags["team"] == team && tags["user"] == user
        };
        let ready = self.world.core.builds(None).filter(is_theirs).count();
        for _ in ready..self.held.len() {
            let number = self.next;
            self.next += 1;
            ask(
                &mut self.world,
                number,
                &[("team", team), ("user", user)],
                0,
            );
        }
    }

    fn turn(&mut self, agent: usize, who: &[(&str, &str, u64)]) {
        let name = agent as u128 + 1;
        if let Some((assignment, ends)) = &self.held[agent]
            && *ends <= self.now
        {
            let assignment = assignment.clone();
            self.world.succeed(name, &assignment);
            self.held[agent] = None;
        }
        if self.held[agent].is_none()
            && let Some(assignment) = self.world.take(name, 1).pop()
        {
            let status = self.world.core.build(assignment.builds[0]).unwrap();
            let tags = status.record.spec.tags;
            let (team, user) = (tags["team"].clone(), tags["user"].clone());
            let took = who
                .iter()
                .find(|it| it.0 == team && it.1 == user)
                .unwrap()
                .2;
            *self.had.entry((team, user)).or_default() += took;
            self.held[agent] = Some((assignment, self.now + took));
        }
    }

    /// Whose part of all is what.
    fn part(&self, team: &str, user: &str) -> f64 {
        let all: u64 = self.had.values().sum();
        let own = self.had.get(&(team.to_owned(), user.to_owned()));
        *own.unwrap_or(&0) as f64 / all as f64
    }
}

fn near(is: f64, right: f64) {
    assert!((is - right).abs() < 0.03, "{is}, not {right}");
}

#[test]
fn it_is_work_that_is_shared_and_not_builds() {
    let mut farm = Farm::new(by_team(&[]), 4);
    farm.run(&[("a", "x", 30_000), ("b", "y", 5_000)], 400_000);
    near(farm.part("a", "x"), 0.5);
}

#[test]
fn teams_share_before_people_do_and_by_weight() {
    let mut farm = Farm::new(by_team(&[(&["a"], 2), (&["b", "y"], 3)]), 4);
    let who = [
        ("a", "v", 5_000),
        ("a", "w", 5_000),
        ("b", "y", 5_000),
        ("b", "z", 5_000),
    ];
    farm.run(&who, 400_000);
    near(farm.part("a", "v"), 1.0 / 3.0);
    near(farm.part("a", "w"), 1.0 / 3.0);
    near(farm.part("b", "y"), 0.25);
    near(farm.part("b", "z"), 1.0 / 12.0);
}

#[test]
fn nobody_saves_up_shares() {
    let mut farm = Farm::new(by_team(&[]), 2);
    farm.run(&[("a", "x", 5_000)], 200_000);
    farm.had.clear();
    let until = farm.now + 300_000;
    farm.run(&[("a", "x", 5_000), ("b", "y", 5_000)], until);
    near(farm.part("a", "x"), 0.5);
}

#[test]
fn within_a_group_the_order_counts() {
    let mut world = world(by_team(&[]));
    let group = [("team", "a"), ("user", "x")];
    ask(&mut world, 1, &group, 0);
    ask(&mut world, 2, &group, 9);
    assert_eq!(world.work_off(1), ["d2", "d1"]);
}

#[test]
fn who_comes_beyond_a_thousand_groups_shares_one() {
    let mut world = world(by_team(&[]));
    let names: Vec<_> = (1..=1_500).map(|number| format!("d{number}")).collect();
    let all: Vec<_> = names.iter().map(|name| drv(name)).collect();
    world.store(&all);
    world.take_with(1, capacity(0));
    let builds = (1..).zip(&names).map(|(number, name)| BuildSpec {
        tags: tags(&[("team", "a"), ("user", &format!("u{number}"))]),
        ..spec(number, name)
    });
    world.submit_all(builds.collect());
    let Why::Queued(why) = world.core.why(build_id(1_500)) else {
        panic!("it is ready");
    };
    assert_eq!(why.group.as_deref(), Some("a/(the rest)"));
    assert_eq!((why.before, why.groups_before), (476, 1_023));
    // When one has ended there is room again for who comes next.
    let ended = world.take_one(1);
    world.succeed(1, &ended);
    ask(&mut world, 2_000, &[("team", "a"), ("user", "new")], 0);
    let Why::Queued(why) = world.core.why(build_id(2_000)) else {
        panic!("it is ready");
    };
    assert_eq!(why.group.as_deref(), Some("a/new"));
}

#[test]
fn what_is_urgent_goes_before_all_shares() {
    let mut world = world(Policy {
        urgent: Some(1_000),
        ..by_team(&[])
    });
    ask(&mut world, 1, &[("team", "a"), ("user", "x")], 999);
    ask(&mut world, 2, &[("team", "b"), ("user", "y")], 0);
    ask(&mut world, 3, &[("team", "a"), ("user", "x")], 1_000);
    assert_eq!(world.take_one(1).derivation.digest, digest("d3"));
}

/// Nobody has a share here: what is urgent goes first all the same, whatever the order says.
#[test]
fn what_is_urgent_goes_first_without_shares() {
    let mut world = World::with(Config {
        policy: Policy {
            order: Vec::new(),
            urgent: Some(9),
            ..Policy::default()
        },
        ..Config::default()
    });
    for (number, priority) in [(1, 0), (2, 8), (3, 9)] {
        ask(&mut world, number, &[], priority);
    }
    assert_eq!(world.work_off(1), ["d3", "d1", "d2"]);
}

#[test]
fn the_cheapest_attempt_is_dropped_for_what_is_urgent() {
    let mut world = world(Policy {
        urgent: Some(1_000),
        preempt_after: Some(Duration::from_secs(5)),
        ..Policy::default()
    });
    ask(&mut world, 1, &[], 0);
    ask(&mut world, 2, &[], 0);
    let first = world.take_one(1);
    world.pass(1_000);
    let second = world.take_one(2);
    world.exchange(1, capacity(1), &[first.attempt], 60_000);
    let waiting = world.exchange(2, capacity(1), &[second.attempt], 60_000);
    ask(&mut world, 3, &[], 1_000);
    world.pass(4_900);
    assert_eq!(world.state(3), BuildState::Ready);
    world.pass(200);
    let told = world.told(waiting).unwrap();
    assert_eq!(told.drop, [second.attempt]);
    assert_eq!(told.assign[0].derivation.digest, digest("d3"));
    let choice = world.status(3).attempts[0].record.choice;
    let dropped = second.attempt;
    assert_eq!(choice.occasion, Occasion::Preempted { dropped });
    // It is tried again when there is room.
    assert_eq!(world.state(2), BuildState::Ready);
    let outcomes = world.status(2).past;
    assert_eq!(outcomes[0].outcome, AttemptOutcome::Dropped);
    let facts = world.history.facts.iter();
    let gone = facts.filter(|it| matches!(it.fact, Fact::Preempted { .. }));
    assert_eq!(gone.count(), 1);
    world.succeed(2, &told.assign[0]);
    assert_eq!(world.take_one(2).derivation.digest, digest("d2"));
}

#[test]
fn nothing_urgent_is_dropped_for_what_is_urgent() {
    let mut world = world(Policy {
        urgent: Some(1_000),
        preempt_after: Some(Duration::ZERO),
        ..Policy::default()
    });
    ask(&mut world, 1, &[], 1_000);
    let first = world.take_one(1);
    world.exchange(1, capacity(1), &[first.attempt], 60_000);
    ask(&mut world, 2, &[], 2_000);
    assert_eq!(world.state(2), BuildState::Ready);
    assert_eq!(world.state(1), BuildState::Running);
}

#[test]
fn a_start_knows_who_has_what() {
    let mut world = world(by_team(&[]));
    let (a, b) = ([("team", "a")], [("team", "b")]);
    ask(&mut world, 1, &a, 0);
    let first = world.take(1, 2);
    ask(&mut world, 2, &a, 0);
    ask(&mut world, 3, &b, 0);
    world.pass(10_000);
    world.restart();
    let held = [first[0].attempt];
    let ticket = world.exchange(1, capacity(2), &held, 0);
    let assigned = world.told(ticket).unwrap().assign;
    assert_eq!(assigned[0].derivation.digest, digest("d3"));
}
