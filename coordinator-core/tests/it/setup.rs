//! Attempts that never got to run the builder, and inputs that are missing.

use grange_coordinator_core::{AgentChange, Reply, Why};
use grange_model::{BuildSpec, BuildState, SetupProblem};

use crate::world::names::{build_id, capacity, digest, drv, spec, tags};
use crate::world::{World, setup_failure};

#[test]
fn a_setup_failure_on_every_agent_backs_off() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    world.take(2, 0);
    let first = world.take_one(1);
    let report = || setup_failure(SetupProblem::DiskFull);
    assert_eq!(world.report(1, first.attempt, report()), Reply::Done);
    // Another agent has not tried.
    assert_eq!(world.state(1), BuildState::Ready);
    assert!(matches!(world.core.why(build_id(1)), Why::Queued(_)));
    assert_eq!(world.take(1, 1), []);
    let second = world.take_one(2);
    world.report(2, second.attempt, report());
    let Why::BackedOff { until } = world.core.why(build_id(1)) else {
        panic!("every agent has tried");
    };
    assert_eq!(world.state(1), BuildState::Ready);
    assert_eq!(world.status(1).record.setup_failures.len(), 2);
    assert_eq!(world.status(1).past.len(), 2);
    assert_eq!(world.take(2, 1), []);
    world.pass(until.since(world.now).as_millis() as u64);
    let third = world.take_one(1);
    world.succeed(1, &third);
    assert_eq!(world.state(1), BuildState::Succeeded);
    assert_eq!(world.finished(1).attempts.len(), 3);
}

#[test]
fn each_further_failure_waits_longer() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let mut waits = Vec::new();
    for _ in 0..9 {
        let assignment = world.take_one(1);
        world.report(1, assignment.attempt, setup_failure(SetupProblem::Other));
        let Why::BackedOff { until } = world.core.why(build_id(1)) else {
            panic!("the only agent has tried");
        };
        waits.push(until.since(world.now).as_secs());
        world.pass(until.since(world.now).as_millis() as u64);
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 1920, 1920]);
}

#[test]
fn an_agent_that_comes_takes_what_is_backed_off() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    world.report(1, first.attempt, setup_failure(SetupProblem::DiskFull));
    assert!(matches!(world.core.why(build_id(1)), Why::BackedOff { .. }));
    assert_eq!(world.take_one(2).builds, vec![build_id(1)]);
}

#[test]
fn another_agent_in_the_same_row_is_not_avoided() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    world.report(1, first.attempt, setup_failure(SetupProblem::DiskFull));
    world.change_agent(1, AgentChange::Delete);
    assert_eq!(world.take_one(2).builds, vec![build_id(1)]);
}

#[test]
fn missing_inputs_are_asked_for_by_a_hook() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    let plain = BuildSpec {
        inputs: false,
        ..spec(1, "b")
    };
    // Nobody has tried the input: the agent reports what is missing.
    assert_eq!(world.build(plain), BuildState::Ready);
    let assignment = world.take_one(1);
    let missing = SetupProblem::MissingInputs(vec![digest("a:out")]);
    world.report(1, assignment.attempt, setup_failure(missing));
    assert!(matches!(world.core.why(build_id(1)), Why::BackedOff { .. }));
    let results = world.hook(vec![spec(2, "a")], Vec::new());
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Ready);
    assert_eq!(world.state(1), BuildState::Blocked);
    // Once the input is there, the agent that failed may try again at once.
    assert_eq!(world.work_off(1), ["a", "b"]);
}

#[test]
fn what_is_missing_comes_by_an_upload() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    let plain = BuildSpec {
        inputs: false,
        ..spec(1, "b")
    };
    world.build(plain);
    let assignment = world.take_one(1);
    let missing = SetupProblem::MissingInputs(vec![digest("a:out")]);
    world.report(1, assignment.attempt, setup_failure(missing));
    world.upload("a:out");
    assert_eq!(world.work_off(1), ["b"]);
}

/// The core is ended after the end of a build is written, and before all that need it have heard.
#[test]
fn what_a_restart_did_not_hear_is_found_out() {
    let graph = [drv("a"), drv("b").needs("a"), drv("c").needs("b")];
    let mut world = World::of(&graph);
    world.build(spec(1, "c"));
    let assignment = world.take_one(1);
    world.config.slice = 1;
    world.restart();
    world.settle();
    let ticket = world.ticket();
    world.input(grange_coordinator_core::Input::Report {
        ticket,
        agent: crate::world::names::agent_id(1),
        attempt: assignment.attempt,
        report: crate::world::failure(),
    });
    world.poll();
    world.write_commit();
    world.restart();
    world.settle();
    let told = world.take_one(1);
    assert_eq!(told.derivation.name, "c");
    let missing = SetupProblem::MissingInputs(vec![digest("b:out")]);
    world.report(1, told.attempt, setup_failure(missing));
    assert_eq!(world.state(1), BuildState::FailedDependency);
    assert_eq!(world.core.builds(None).count(), 0);
}

#[test]
fn inputs_are_made_for_a_live_build_that_had_none() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    let plain = BuildSpec {
        inputs: false,
        ..spec(1, "b")
    };
    assert_eq!(world.build(plain), BuildState::Ready);
    world.build(spec(2, "b"));
    assert_eq!(world.state(1), BuildState::Blocked);
    assert_eq!(world.state(2), BuildState::Blocked);
    let ticket = world.exchange_new(1, capacity(1));
    assert_eq!(world.told(ticket).unwrap().assign[0].derivation.name, "a");
}

/// It is backed off, as no agent that could take it has not failed; then somebody asks for the same of less.
#[test]
fn another_build_may_bring_other_agents_to_what_is_backed_off() {
    let mut world = World::of(&[drv("a")]);
    let old = tags(&[("year", "2019")]);
    world.build(BuildSpec {
        requires: old.clone(),
        ..spec(1, "a")
    });
    world.add_agent(1);
    world.add_agent(2);
    let mut able = capacity(1);
    able.tags = old;
    let ticket = world.exchange(1, able, &[], 0);
    let first = world.told(ticket).unwrap().assign.remove(0);
    let ticket = world.exchange(2, capacity(1), &[], 20_000);
    world.report(1, first.attempt, setup_failure(SetupProblem::DiskFull));
    assert!(matches!(world.core.why(build_id(1)), Why::BackedOff { .. }));
    world.build(spec(2, "a"));
    let told = world.told(ticket).unwrap();
    assert_eq!(told.assign.len(), 1);
    assert_eq!(world.state(1), BuildState::Running);
}

/// Another agent could take it, so it is not backed off; but that one has no room.
#[test]
fn who_may_try_again_and_waits_gets_it() {
    let mut world = World::of(&[drv("a"), drv("b")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    world.build(spec(2, "b"));
    assert_eq!(world.take_one(2).derivation.name, "b");
    world.report(1, first.attempt, setup_failure(SetupProblem::DiskFull));
    world.pass(25_000);
    let ticket = world.exchange(1, capacity(1), &[], 20_000);
    assert!(world.told(ticket).is_none());
    world.pass(5_000);
    let told = world.told(ticket).unwrap();
    assert_eq!(told.assign[0].builds, vec![build_id(1)]);
}
