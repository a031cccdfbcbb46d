//! What builds use up, and what agents have left of it.

use grange_coordinator_core::{
    Admission, Assignment, AttemptPhase, Capacity, Exchange, Health, Reply, Report, Why,
};
use grange_model::{
    AttemptOutcome, BuildSpec, BuildState, Fact, FailureKind, MEMORY, Occasion, Resources, Usage,
};

use crate::world::names::{agent_id, build_id, capacity, drv, session_id, spec};
use crate::world::{World, failure};

fn resources(of: &[(&str, u64)]) -> Resources {
    let owned = of
        .iter()
        .map(|(name, amount)| ((*name).to_owned(), *amount));
    owned.collect()
}

/// A request that uses this up.
fn using(number: u128, derivation: &str, of: &[(&str, u64)]) -> BuildSpec {
    BuildSpec {
        resources: resources(of),
        ..spec(number, derivation)
    }
}

/// An agent that has this.
fn having(parallel: u32, of: &[(&str, u64)]) -> Capacity {
    Capacity {
        resources: resources(of),
        ..capacity(parallel)
    }
}

fn names(assigned: &[Assignment]) -> Vec<&str> {
    assigned.iter().map(|it| &*it.derivation.name).collect()
}

/// An agent that holds these asks again.
fn again(
    world: &mut World,
    agent: u128,
    capacity: Capacity,
    held: &[Assignment],
) -> Vec<Assignment> {
    let held: Vec<_> = held.iter().map(|it| it.attempt).collect();
    let ticket = world.exchange(agent, capacity, &held, 0);
    world.told(ticket).unwrap().assign
}

fn killed(peak: Option<u64>) -> Report {
    Report::Failed {
        kind: FailureKind::OutOfMemory,
        message: "killed".to_owned(),
        log: None,
        usage: Usage {
            build_ms: Some(1),
            peak_memory: peak,
        },
    }
}

#[test]
fn an_agent_gets_no_more_than_it_has() {
    let mut world = World::of(&[drv("a"), drv("b"), drv("c")]);
    for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
        world.build(using(number, name, &[(MEMORY, 40)]));
    }
    let has = having(8, &[(MEMORY, 100)]);
    let first = world.take_with(1, has.clone());
    assert_eq!(names(&first), ["a", "b"]);
    let Why::Queued(why) = world.core.why(build_id(3)) else {
        panic!("it is ready");
    };
    // Its exchange was answered; what it has left counts all the same.
    let short = &why.short[0];
    assert_eq!(
        (short.needs, short.left, &*short.resource),
        (40, 20, MEMORY)
    );
    world.succeed(1, &first[0]);
    assert_eq!(names(&again(&mut world, 1, has, &first[1..])), ["c"]);
}

#[test]
fn what_is_sent_uses_nothing_up() {
    let mut world = World::of(&[drv("a"), drv("b")]);
    world.build(using(1, "a", &[("licence", 1)]));
    world.build(using(2, "b", &[("licence", 1)]));
    let has = having(8, &[("licence", 1)]);
    let first = world.take_with(1, has.clone());
    assert_eq!(names(&first), ["a"]);
    let exchange = |phase, revision| Exchange {
        agent: agent_id(1),
        session: session_id(1),
        revision,
        capacity: has.clone(),
        health: Health::default(),
        attempts: vec![(first[0].attempt, phase)],
        wait_ms: 0,
    };
    let ticket = world.send(exchange(AttemptPhase::Building, 100));
    assert!(world.told(ticket).unwrap().assign.is_empty());
    let ticket = world.send(exchange(AttemptPhase::Uploading, 101));
    assert_eq!(names(&world.told(ticket).unwrap().assign), ["b"]);
}

#[test]
fn who_offers_no_token_gets_no_build_that_needs_one() {
    let mut world = World::of(&[drv("a")]);
    let accepted = world.submit(using(1, "a", &[("licence", 1)])).unwrap();
    assert_eq!(accepted.warnings, ["no agent is present"]);
    assert!(world.take(1, 1).is_empty());
    let Why::NobodyOffers { missing } = world.core.why(build_id(1)) else {
        panic!("nobody offers it");
    };
    let words = "no agent that is present offers licence=1 (the most is 0)";
    assert_eq!(missing, [words]);
    assert_eq!(world.take_with(2, having(1, &[("licence", 3)])).len(), 1);
}

#[test]
fn memory_that_an_agent_does_not_name_does_not_matter() {
    let mut world = World::of(&[drv("a")]);
    world.build(using(1, "a", &[(MEMORY, u64::MAX), ("cores", 64)]));
    assert_eq!(world.take(1, 1).len(), 1);
}

#[test]
fn a_disk_that_is_full_takes_nothing_that_needs_room() {
    let mut world = World::of(&[drv("a"), drv("b")]);
    world.build(using(1, "a", &[("disk", 1_000)]));
    world.build(spec(2, "b"));
    world.add_agent(1);
    let exchange = |free, revision| Exchange {
        agent: agent_id(1),
        session: session_id(1),
        revision,
        capacity: capacity(1),
        health: Health {
            disk_free: Some(free),
            ..Health::default()
        },
        attempts: Vec::new(),
        wait_ms: 0,
    };
    let ticket = world.send(exchange(999, 1));
    let assigned = world.told(ticket).unwrap().assign;
    assert_eq!(names(&assigned), ["b"]);
    world.succeed(1, &assigned[0]);
    let ticket = world.send(exchange(1_000, 2));
    assert_eq!(names(&world.told(ticket).unwrap().assign), ["a"]);
}

#[test]
fn an_agent_under_pressure_gets_nothing_new() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    world.add_agent(1);
    let admission = Admission {
        max_load: Some(800),
        max_memory_pressure: Some(1_000),
        min_disk_free: Some(50),
        ..Admission::default()
    };
    let exchange = |health, revision| Exchange {
        agent: agent_id(1),
        session: session_id(1),
        revision,
        capacity: Capacity {
            admission,
            ..capacity(1)
        },
        health,
        attempts: Vec::new(),
        wait_ms: 0,
    };
    let bad = Health {
        load: 801,
        memory_pressure: 2_550,
        disk_free: Some(49),
        ..Health::default()
    };
    let ticket = world.send(exchange(bad, 1));
    assert!(world.told(ticket).unwrap().assign.is_empty());
    let Why::Queued(why) = world.core.why(build_id(1)) else {
        panic!("it is ready");
    };
    let words = [
        "its load is 8.01, and may be 8.00",
        "its memory pressure is 25.50 %, and may be 10.00 %",
        "49 bytes of its disk are free, and there must be 50",
    ];
    let words = words.map(str::to_owned).to_vec();
    assert_eq!(why.pressed, [(agent_id(1), words)]);
    let good = Health {
        load: 800,
        memory_pressure: 1_000,
        disk_free: Some(50),
        ..Health::default()
    };
    let ticket = world.send(exchange(good, 2));
    assert_eq!(world.told(ticket).unwrap().assign.len(), 1);
}

#[test]
fn a_large_build_is_not_passed_over_for_ever() {
    let small: Vec<_> = (0..200).map(|at| drv(&format!("s{at}"))).collect();
    let mut world = World::of(&small);
    world.store(&[drv("large")]);
    world.build(using(1, "s0", &[(MEMORY, 10)]));
    let has = having(8, &[(MEMORY, 20)]);
    let mut held = world.take_with(1, has.clone());
    world.build(using(2, "large", &[(MEMORY, 20)]));
    let mut passed = 0;
    for at in 1..200 {
        world.build(using(100 + at, &format!("s{at}"), &[(MEMORY, 10)]));
        // There is always another one when one ends.
        let new = again(&mut world, 1, has.clone(), &held);
        passed += new.len();
        held.extend(new);
        if held.len() > 1 || held[0].derivation.name == "large" {
            let ended = held.remove(0);
            if ended.derivation.name == "large" {
                break;
            }
            world.succeed(1, &ended);
        }
        if held.is_empty() {
            held = again(&mut world, 1, has.clone(), &[]);
            assert_eq!(names(&held), ["large"]);
            let status = world.status(2);
            let choice = status.attempts[0].record.choice;
            assert_eq!(choice.occasion, Occasion::Reserved);
            assert_eq!(passed, 32);
            return;
        }
        if held.len() == 1 && passed == 32 {
            let Why::Queued(why) = world.core.why(build_id(2)) else {
                panic!("it waits");
            };
            assert_eq!(why.reserved, Some(agent_id(1)));
            let ended = held.remove(0);
            world.succeed(1, &ended);
            held = again(&mut world, 1, has.clone(), &[]);
            assert_eq!(names(&held), ["large"]);
            return;
        }
    }
    panic!("the large one never got its turn: {passed} went before");
}

#[test]
fn what_was_killed_is_tried_where_there_is_more() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let small = having(1, &[(MEMORY, 100)]);
    let large = having(1, &[(MEMORY, 1_000)]);
    assert!(world.take_with(2, having(0, &[(MEMORY, 1_000)])).is_empty());
    let first = world.take_with(1, small.clone()).remove(0);
    assert_eq!(
        world.report(1, first.attempt, killed(Some(90))),
        Reply::Done
    );
    assert_eq!(world.state(1), BuildState::Ready);
    let facts = world.history.facts.iter();
    let more = facts.filter_map(|fact| match fact.fact {
        Fact::OutOfMemory { memory, .. } => Some(memory),
        _ => None,
    });
    assert_eq!(more.collect::<Vec<_>>(), [135]);
    assert!(world.take_with(1, small).is_empty());
    let second = world.take_with(2, large).remove(0);
    world.succeed(2, &second);
    let finished = world.finished(1);
    assert_eq!(finished.state, BuildState::Succeeded);
    let outcomes = finished.attempts.iter().map(|it| &it.outcome);
    let outcomes: Vec<_> = outcomes.collect();
    let lost = matches!(
        outcomes[..],
        [
            AttemptOutcome::Failed {
                kind: FailureKind::OutOfMemory,
                ..
            },
            AttemptOutcome::Succeeded
        ]
    );
    assert!(lost, "{outcomes:?}");
    assert_eq!(finished.attempts[0].usage.peak_memory, Some(90));
}

#[test]
fn what_was_killed_where_there_is_most_has_failed() {
    let mut world = World::of(&[drv("a")]);
    world.build(using(1, "a", &[(MEMORY, 60)]));
    let has = having(1, &[(MEMORY, 100)]);
    let mut needs = Vec::new();
    while let Some(assigned) = world.take_with(1, has.clone()).pop() {
        needs.push(world.core.agent(agent_id(1)).unwrap().used[MEMORY]);
        assert_eq!(world.report(1, assigned.attempt, killed(None)), Reply::Done);
    }
    assert_eq!(needs, [60, 90, 100]);
    assert_eq!(world.state(1), BuildState::Failed);
}

#[test]
fn what_was_killed_where_nobody_names_memory_has_failed() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let assigned = world.take_one(1);
    assert_eq!(world.report(1, assigned.attempt, killed(None)), Reply::Done);
    assert_eq!(world.state(1), BuildState::Failed);
}

#[test]
fn a_start_knows_what_is_used_up() {
    let mut world = World::of(&[drv("a"), drv("b")]);
    world.build(using(1, "a", &[(MEMORY, 60)]));
    world.build(using(2, "b", &[(MEMORY, 60)]));
    let has = having(8, &[(MEMORY, 100)]);
    let held = world.take_with(1, has.clone());
    world.restart();
    assert!(again(&mut world, 1, has.clone(), &held).is_empty());
    assert_eq!(world.report(1, held[0].attempt, failure()), Reply::Done);
    assert_eq!(names(&again(&mut world, 1, has, &[])), ["b"]);
}

#[test]
fn one_attempt_has_what_any_of_its_builds_asked_for() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c")]);
    world.build(spec(1, "b"));
    assert_eq!(world.implicit("a").unwrap().state, BuildState::Ready);
    world.build(using(2, "a", &[(MEMORY, 60)]));
    world.build(using(3, "c", &[(MEMORY, 60)]));
    let has = having(8, &[(MEMORY, 100)]);
    assert_eq!(names(&world.take_with(1, has)), ["a"]);
    assert_eq!(world.core.agent(agent_id(1)).unwrap().used[MEMORY], 60);
}
