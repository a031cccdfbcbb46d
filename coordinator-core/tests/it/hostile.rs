//! What nobody would do who means well: it is answered, keeps nobody else waiting for ever, and leaves nothing behind.

mod crowd;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::{
    AgentChange, Assignment, Candidate, Config, DeniedWhy, Input, Order, Placement, Policy, Reply,
    Seat, StateCounts, Why,
};
use grange_model::{BuildId, BuildSpec, BuildState, Limits, SetupProblem};

use crate::world::names::{agent_id, build_id, capacity, digest, drv, spec, tags};
use crate::world::{World, setup_failure};
use crowd::Crowd;

/// Names that differ from the first byte on, as digests do.
fn name(number: usize) -> String {
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}")
}

/// No hash names a derivation that needs itself, so coordinators refuse it; an embedder may hand it in. It can never be built.
#[test]
fn a_cycle_of_derivations_is_answered_and_can_be_canceled() {
    let mut world = World::of(&[
        drv("a").needs("c"),
        drv("b").needs("a"),
        drv("c").needs("b"),
        drv("self").needs("self"),
        drv("other"),
    ]);
    for (number, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "self")] {
        let priority = i32::try_from(number).unwrap();
        world.build(BuildSpec {
            priority,
            ..spec(number, name)
        });
    }
    world.build(spec(5, "other"));
    // Nothing of it is ready, and what has nothing to do with it is.
    assert_eq!(world.work_off(1), ["other"]);
    for number in 1..=4 {
        let why = world.core.why(build_id(number));
        assert!(matches!(why, Why::Blocked(_)), "{number}: {why:?}");
    }
    // Those that need it end with it.
    world.cancel(1);
    let lost = BuildState::FailedDependency;
    assert_eq!([world.state(2), world.state(3)], [lost, lost]);
    world.cancel(4);
    assert_eq!(world.core.counts(), StateCounts::default());
    world.restart();
    world.settle();
    assert_eq!(world.core.builds(None).count(), 0);
}

/// Who needs what nobody has said how to make is tried, at ever longer intervals, until it is there.
#[test]
fn a_dangling_input_keeps_only_its_users_waiting() {
    let mut world = World::of(&[drv("b").needs("nowhere"), drv("c").needs("b"), drv("other")]);
    world.build(spec(1, "c"));
    world.build(spec(2, "other"));
    let mut tries = 0;
    let mut waited = 0;
    while waited < 3_600_000 {
        for assignment in world.take(1, 2) {
            if assignment.derivation.name == "other" {
                world.succeed(1, &assignment);
                continue;
            }
            tries += 1;
            let missing = SetupProblem::MissingInputs(vec![digest("nowhere:out")]);
            world.report(1, assignment.attempt, setup_failure(missing));
        }
        world.pass(10_000);
        waited += 10_000;
    }
    assert_eq!(world.state(2), BuildState::Succeeded);
    // At 0, 30, 90, 210, 450, 930, 1,890 and 3,810 seconds.
    assert_eq!(tries, 7);
    world.upload("nowhere:out");
    assert_eq!(world.work_off(1), ["b", "c"]);
}

#[test]
fn a_derivation_with_a_hundred_thousand_inputs_is_looked_at_and_made_in_slices() {
    const INPUTS: usize = 100_000;
    let config = Config::default();
    let slice = config.slice;
    let mut crowd = Crowd::new(config);
    let leaves: Vec<_> = (0..INPUTS).map(name).collect();
    crowd.know(leaves.iter().map(|leaf| drv(leaf)));
    let mut top = drv("top");
    let inputs = leaves.iter().flat_map(|leaf| drv("").needs(leaf).0.inputs);
    top.0.inputs = inputs.collect();
    top.0.inputs.sort_unstable();
    crowd.know([top]);
    let results = crowd.submit(vec![spec(1, "top")]);
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Blocked);
    let counts = crowd.core.counts();
    assert_eq!((counts.blocked, counts.ready), (1, INPUTS as u64));
    // Its inputs are looked at together, as one derivation's are; each of them in its turn, with two keys of its own.
    let most = INPUTS + 2 * slice;
    assert!(crowd.most_keys <= most, "{} keys", crowd.most_keys);
    assert!(
        crowd.most_changes <= slice,
        "{} changes",
        crowd.most_changes
    );
    assert!(crowd.slices >= INPUTS / slice, "{} slices", crowd.slices);
    crowd.check();

    let builds = vec![build_id(1)];
    crowd.slices = 0;
    crowd.ask(|ticket| Input::Cancel { ticket, builds });
    assert_eq!(crowd.core.counts(), StateCounts::default());
    assert!(crowd.slices >= INPUTS / slice, "{} slices", crowd.slices);
    crowd.check();
}

/// As many as there may be are one attempt. 100,000 are asked for here, a million by the bench `hostile`.
#[test]
fn very_many_builds_of_one_derivation_are_one_attempt() {
    const ASKED: usize = 100_000;
    let config = Config::default();
    let most = config.max_builds_per_derivation;
    let mut crowd = Crowd::new(config);
    crowd.know([drv("a"), drv("user").needs("a")]);
    let mut accepted = 0;
    for first in (0..ASKED).step_by(1_000) {
        let builds = (first..first + 1_000).map(|number| BuildSpec {
            priority: i32::try_from(number).unwrap(),
            ..spec(number as u128, "a")
        });
        let results = crowd.submit(builds.collect());
        accepted += results.iter().filter(|result| result.is_ok()).count();
        let mut refused = results.into_iter().filter_map(Result::err);
        assert!(refused.all(|denied| denied.why == DeniedWhy::TooMuch));
    }
    assert_eq!(accepted, most);
    // The same again are the same builds, and one that needs it joins them.
    let again = (0..1_000).map(|number| spec(number, "a"));
    assert!(crowd.submit(again.collect()).iter().all(Result::is_ok));
    let user = crowd.submit(vec![spec(2 * ASKED as u128, "user")]);
    assert_eq!(user[0].as_ref().unwrap().state, BuildState::Blocked);
    let counts = StateCounts {
        ready: most as u64,
        blocked: 1,
        ..StateCounts::default()
    };
    assert_eq!(crowd.core.counts(), counts);
    // For each that has ended, another may come.
    let builds = vec![build_id(7)];
    crowd.ask(|ticket| Input::Cancel { ticket, builds });
    let more = crowd.submit(
        (0..2)
            .map(|number| spec(3 * ASKED as u128 + number, "a"))
            .collect(),
    );
    assert_eq!(
        more.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false]
    );
    let mut given = Vec::new();
    for agent in 1..=10 {
        crowd.add_agent(agent);
        let ticket = crowd.exchange(agent, 1, capacity(5), &[], 0);
        given.extend(crowd.told(ticket).unwrap().assign);
    }
    assert_eq!(given.len(), 1);
    assert_eq!(crowd.succeed(1, &given[0]), Reply::Done);
    assert_eq!(crowd.core.counts().ready, 1, "the user");
    crowd.check();
}

/// Each of an input's users has a priority of its own, and they come and go.
#[test]
fn an_input_has_the_highest_of_ten_thousand_priorities() {
    const USERS: usize = 10_000;
    let mut crowd = Crowd::new(Config::default());
    let names: Vec<_> = (0..USERS).map(name).collect();
    crowd.know([drv("libc")]);
    crowd.know(names.iter().map(|name| drv(name).needs("libc")));
    let builds = names.iter().enumerate().map(|(number, name)| BuildSpec {
        priority: i32::try_from(number).unwrap(),
        ..spec(number as u128, name)
    });
    let results = crowd.submit(builds.collect());
    assert!(results.iter().all(Result::is_ok));
    let derived = |crowd: &Crowd| {
        let mut builds = crowd.core.builds(None);
        let libc = builds.find(|it| it.record.derivation.name == "libc");
        libc.unwrap().derived_priority
    };
    for left in [USERS, USERS / 2, 40, 1] {
        let gone = (left..USERS)
            .map(|number| build_id(number as u128))
            .collect();
        crowd.ask(|ticket| Input::Cancel {
            ticket,
            builds: gone,
        });
        assert_eq!(derived(&crowd), i32::try_from(left).unwrap() - 1);
        crowd.check();
    }
}

#[test]
fn priorities_at_the_limits_of_integers_are_priorities() {
    let mut world = World::of(&[
        drv("lowest"),
        drv("low"),
        drv("middle"),
        drv("high"),
        drv("highest"),
        drv("user").needs("lowest"),
    ]);
    let asked = [
        ("lowest", i32::MIN),
        ("low", i32::MIN + 1),
        ("middle", 0),
        ("high", i32::MAX - 1),
        ("highest", i32::MAX),
    ];
    for (number, (name, priority)) in (1..).zip(asked) {
        world.build(BuildSpec {
            priority,
            ..spec(number, name)
        });
    }
    assert_eq!(world.status(1).derived_priority, i32::MIN);
    // Somebody needs it most of all, then not at all.
    world.build(BuildSpec {
        priority: i32::MAX,
        ..spec(6, "user")
    });
    assert_eq!(world.status(1).derived_priority, i32::MAX);
    world.cancel(6);
    assert_eq!(world.status(1).derived_priority, i32::MIN);
    world.restart();
    world.settle();
    assert_eq!(world.status(1).derived_priority, i32::MIN);
    let order = ["highest", "high", "middle", "low", "lowest"];
    assert_eq!(world.work_off(1), order);
}

/// An order may say whatever it likes: its keys are at the limits of integers.
#[derive(Debug)]
struct Extreme;

impl Order for Extreme {
    fn key(&self, candidate: &Candidate<'_>) -> i64 {
        match candidate.priority {
            0 => 0,
            below if below < 0 => i64::MAX,
            _ => i64::MIN,
        }
    }
}

#[test]
fn keys_at_the_limits_of_integers_are_keys() {
    let policy = Policy {
        order: vec![Arc::new(Extreme), Arc::new(Extreme)],
        urgent: Some(i32::MAX),
        ..Policy::default()
    };
    let mut world = World::with(Config {
        policy,
        ..Config::default()
    });
    let asked = [
        ("last", i32::MIN),
        ("middle", 0),
        ("first", i32::MAX - 1),
        ("urgent", i32::MAX),
    ];
    world.store(&asked.map(|(name, _)| drv(name)));
    for (number, (name, priority)) in (1..).zip(asked) {
        world.build(BuildSpec {
            priority,
            ..spec(number, name)
        });
    }
    let order = ["urgent", "first", "middle", "last"];
    assert_eq!(world.work_off(1), order);
}

#[test]
fn only_what_is_required_makes_classes() {
    const VALUES: u128 = 20_000;
    let config = Config {
        max_classes: 100,
        max_builds_per_derivation: usize::MAX,
        ..Config::default()
    };
    let mut crowd = Crowd::new(config);
    crowd.know([drv("a"), drv("b")]);
    // Labels of as many values as there are builds are no classes.
    let labelled = (0..VALUES).map(|number| BuildSpec {
        tags: tags(&[("ticket", &number.to_string())]),
        ..spec(number, "a")
    });
    let results = crowd.submit(labelled.collect());
    assert!(results.iter().all(Result::is_ok));
    // Requirements are, and there are a hundred at most: one is taken by the others.
    let requiring = (VALUES..2 * VALUES).map(|number| BuildSpec {
        requires: tags(&[("ticket", &number.to_string())]),
        ..spec(number, "b")
    });
    let results = crowd.submit(requiring.collect());
    let (accepted, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(accepted.len(), 99);
    let mut refused = refused.into_iter();
    assert!(refused.all(|denied| denied.unwrap_err().why == DeniedWhy::TooMuch));
    // What is of a class that is known goes on.
    let plain = crowd.submit(vec![spec(3 * VALUES, "a")]);
    assert!(plain[0].is_ok());
    crowd.check();

    let builds: Vec<BuildId> = crowd
        .core
        .builds(None)
        .map(|it| it.record.spec.id)
        .collect();
    assert_eq!(builds.len() as u128, VALUES + 99 + 1);
    for some in builds.chunks(10_000) {
        let builds = some.to_vec();
        crowd.ask(|ticket| Input::Cancel { ticket, builds });
    }
    assert_eq!(crowd.core.counts(), StateCounts::default());
    crowd.check();
}

/// It takes all there is whenever it can, and is never heard of until it is started again.
#[test]
fn an_agent_that_fetches_and_never_reports_keeps_builds_for_a_lease() {
    const BUILDS: usize = 1_000;
    let config = Config::default();
    let lease = u64::try_from(config.lease.as_millis()).unwrap();
    let wait = lease / 4;
    let mut crowd = Crowd::new(config);
    let names: Vec<_> = (0..BUILDS).map(name).collect();
    crowd.know(names.iter().map(|name| drv(name)));
    crowd.add_agent(1);
    crowd.add_agent(2);
    let builds = (0..).zip(&names).map(|(number, name)| spec(number, name));
    assert!(crowd.submit(builds.collect()).iter().all(Result::is_ok));
    let greedy = capacity(u32::MAX);
    let ticket = crowd.exchange(1, 1, greedy.clone(), &[], 0);
    let taken = crowd.told(ticket).unwrap().assign;
    let taken: BTreeSet<_> = taken.iter().map(|it| it.attempt).collect();
    assert_eq!(taken.len(), BUILDS);
    let begun = crowd.now;
    // Another has room for all, and asks again and again.
    let mut got: Vec<Assignment> = Vec::new();
    while got.len() < BUILDS {
        let holds: Vec<_> = got.iter().map(|it| it.attempt).collect();
        let ticket = crowd.exchange(2, 1, capacity(BUILDS as u32), &holds, wait);
        crowd.pass(wait);
        got.extend(crowd.told(ticket).unwrap().assign);
        assert!(crowd.now.since(begun).as_millis() <= u128::from(2 * lease));
    }
    let waited = u64::try_from(crowd.now.since(begun).as_millis()).unwrap();
    assert!(waited <= lease + wait, "{waited} ms");
    // It is started again and told what it had; that does not keep the other from ending all of it.
    let ticket = crowd.exchange(1, 2, greedy, &[], 0);
    let again = crowd.told(ticket).unwrap().assign;
    let again: BTreeSet<_> = again.iter().map(|it| it.attempt).collect();
    assert_eq!(again, taken);
    for assignment in &got {
        assert_eq!(crowd.succeed(2, assignment), Reply::Done);
    }
    assert_eq!(crowd.core.counts(), StateCounts::default());
    crowd.check();
}

/// It renews its lease for ever, and says that it prepares what it has, or nothing of it.
#[test]
fn an_agent_that_is_heard_of_and_never_reports_keeps_builds_for_a_bounded_time() {
    for says in [true, false] {
        let mut world = World::of(&[drv("a")]);
        let limits = Limits {
            timeout_ms: 3_600_000,
            max_silent_ms: 1_000,
        };
        world.build(BuildSpec {
            limits,
            ..spec(1, "a")
        });
        let held = world.take_one(1).attempt;
        let attempts = if says { vec![held] } else { Vec::new() };
        let begun = world.now;
        let mut dropped = Vec::new();
        while world.state(1) == BuildState::Running {
            assert!(world.now.since(begun) < Duration::from_hours(9), "{says}");
            let ticket = world.exchange(1, capacity(1), &attempts, 0);
            dropped = world.told(ticket).map_or_else(Vec::new, |told| told.drop);
            world.pass(30_000);
        }
        // Six hours, and twice the limit.
        assert!(world.now.since(begun) >= Duration::from_hours(8), "{says}");
        assert_eq!(dropped, attempts);
        let failures = world.status(1).record.setup_failures;
        assert!(
            failures[0].message.contains("more than 8.0 h"),
            "{failures:?}"
        );
        assert_eq!(world.take(2, 1).len(), 1, "another gets it");
        world.check();
    }
}

/// Each is started three times within a second, and takes what it can each time.
#[test]
fn agents_that_flap_lose_nothing_and_leave_nothing() {
    const AGENTS: u128 = 10_000;
    const BUILDS: usize = 2_000;
    let mut crowd = Crowd::new(Config::default());
    let names: Vec<_> = (0..BUILDS).map(name).collect();
    crowd.know(names.iter().map(|name| drv(name)));
    for agent in 1..=AGENTS {
        crowd.add_agent(agent);
    }
    let builds = (0..).zip(&names).map(|(number, name)| spec(number, name));
    assert!(crowd.submit(builds.collect()).iter().all(Result::is_ok));
    let begun = crowd.now;
    // Who has what: what an agent that was started again does not name, it is told again.
    let mut given = BTreeMap::new();
    for session in 1..=3 {
        for agent in 1..=AGENTS {
            let ticket = crowd.exchange(agent, session, capacity(1), &[], 0);
            for assigned in crowd.told(ticket).unwrap().assign {
                let before = given.insert(assigned.attempt, (agent, assigned));
                assert!(before.is_none_or(|(holder, _)| holder == agent));
            }
        }
        crowd.pass(333);
    }
    assert!(crowd.now.since(begun).as_millis() < 1_000);
    assert_eq!(given.len(), BUILDS, "one attempt for each build");
    crowd.check();
    for (agent, assigned) in given.values() {
        assert_eq!(crowd.succeed(*agent, assigned), Reply::Done);
    }
    assert_eq!(crowd.core.counts(), StateCounts::default());
    for agent in 1..=AGENTS {
        assert_eq!(crowd.change(agent, AgentChange::Delete), Reply::Done);
    }
    // What was learned is written in a while; then nothing is to be done any more.
    crowd.pass(3_600_000);
    assert_eq!(crowd.core.poll_timeout(), None);
    assert!(crowd.core.agent(agent_id(1)).is_none());
    crowd.check();
}

/// For all of them the same.
#[derive(Debug)]
struct Equal;

impl Order for Equal {
    fn key(&self, _: &Candidate<'_>) -> i64 {
        0
    }
}

impl Placement for Equal {
    fn fit(&self, _: &Candidate<'_>, _: &Seat<'_>) -> i64 {
        0
    }
}

/// A build waits for those that were submitted before it, and for no other, however many come after it.
#[test]
fn a_policy_that_finds_all_equal_starves_nobody() {
    for lookahead in [0, 1, 64] {
        let policy = Policy {
            order: vec![Arc::new(Equal)],
            placement: Some(Arc::new(Equal)),
            lookahead,
            ..Policy::default()
        };
        let mut world = World::with(Config {
            policy,
            ..Config::default()
        });
        let names: Vec<_> = (0..90).map(|number| format!("d{number}")).collect();
        world.store(&names.iter().map(|name| drv(name)).collect::<Vec<_>>());
        let mut asked = (1..).zip(&names).map(|(number, name)| BuildSpec {
            // It is not asked for its opinion.
            priority: i32::try_from(number % 7).unwrap(),
            ..spec(number, name)
        });
        let mut served = Vec::new();
        while served.len() < names.len() {
            // For each that is built, three come.
            world.submit_all(asked.by_ref().take(3).collect());
            let assigned = world.take_one(1);
            world.succeed(1, &assigned);
            served.push(assigned.derivation.name);
        }
        assert_eq!(served, names, "lookahead {lookahead}");
    }
}
