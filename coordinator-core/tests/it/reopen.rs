//! Builds that had ended as failed-dependency go on.

use grange_coordinator_core::DeniedWhy;
use grange_model::{BuildSpec, BuildState, Fact};

use crate::world::World;
use crate::world::names::{digest, drv, spec};

/// `c` needs `a` and `b`; both have failed, and `c` with them.
fn failed() -> World {
    let graph = [drv("a"), drv("b"), drv("c").needs("a").needs("b")];
    let mut world = World::of(&graph);
    world.build(spec(1, "a"));
    world.build(spec(2, "b"));
    world.build(spec(3, "c"));
    for assignment in world.take(1, 2) {
        world.fail(1, &assignment);
    }
    assert_eq!(world.state(3), BuildState::FailedDependency);
    world
}

fn again(number: u128, derivation: &str) -> BuildSpec {
    BuildSpec {
        again: true,
        ..spec(number, derivation)
    }
}

#[test]
fn a_build_is_reopened_when_nothing_is_lost_any_more() {
    let mut world = failed();
    let causes = world.finished(3).causes;
    assert_eq!(causes.len(), 1);
    world.build(again(4, "a"));
    world.work_off(1);
    let finished = world.finished(3);
    let results = world.hook(Vec::new(), vec![finished]);
    let state = results[0].as_ref().unwrap().state;
    assert_eq!(state, BuildState::FailedDependency);
    // It waits for the other input now, and is found by it.
    let causes = world.finished(3).causes;
    assert_eq!((causes.len(), causes[0].output), (1, digest("b:out")));
    assert_eq!(world.finished(3).reason, "its input b failed; root: b");
    let is_reopened = |world: &World| {
        let mut facts = world.history.facts.iter();
        facts.any(|fact| matches!(fact.fact, Fact::Reopened { .. }))
    };
    assert!(!is_reopened(&world));
    world.build(again(5, "b"));
    world.work_off(1);
    let finished = world.finished(3);
    let results = world.hook(Vec::new(), vec![finished]);
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Ready);
    assert!(is_reopened(&world));
    assert_eq!(world.status(3).record.spec.cause.unwrap().hook, "hook");
    world.restart();
    world.work_off(1);
    assert_eq!(world.state(3), BuildState::Succeeded);
}

#[test]
fn what_is_tried_again_is_waited_for() {
    let mut world = failed();
    world.build(again(4, "a"));
    world.build(again(5, "b"));
    let finished = world.finished(3);
    let results = world.hook(Vec::new(), vec![finished]);
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Blocked);
    assert_eq!(world.work_off(1), ["a", "b", "c"]);
}

#[test]
fn only_what_failed_for_an_input_is_reopened() {
    let mut world = failed();
    let stale = world.finished(3);
    world.build(again(4, "a"));
    world.build(again(5, "b"));
    world.work_off(1);
    world.hook(Vec::new(), vec![stale.clone()]);
    world.work_off(1);
    // The hook comes too late, and with an old record.
    let results = world.hook(Vec::new(), vec![stale]);
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Succeeded);
    assert_eq!(world.state(3), BuildState::Succeeded);
    let other = world.finished(1);
    let results = world.hook(Vec::new(), vec![other]);
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Failed);
}

#[test]
fn a_reopened_build_whose_outputs_are_there_has_succeeded() {
    let mut world = failed();
    world.build(again(4, "a"));
    world.build(again(5, "b"));
    world.build(again(6, "c"));
    world.work_off(1);
    let finished = world.finished(3);
    let results = world.hook(Vec::new(), vec![finished]);
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Succeeded);
}

/// What else the hook asks for, and so is read, makes no difference.
#[test]
fn a_reopened_build_whose_outputs_are_there_needs_no_inputs() {
    let graph = [
        drv("a"),
        drv("b"),
        drv("c").needs("a").needs("b"),
        drv("d").needs("b"),
    ];
    let mut world = World::of(&graph);
    for (number, name) in (1..).zip(["a", "b", "c", "d"]) {
        let inputs = false;
        world.build(BuildSpec {
            inputs,
            ..spec(number, name)
        });
    }
    for assignment in world.take(1, 2) {
        world.fail(1, &assignment);
    }
    world.upload("c:out");
    for reopen in [vec![4, 3], vec![3, 4]] {
        let ended = reopen.iter().map(|number| world.finished(*number));
        let ended: Vec<_> = ended.collect();
        world.hook(Vec::new(), ended);
        assert_eq!(world.state(3), BuildState::Succeeded);
        assert_eq!(world.state(4), BuildState::FailedDependency);
    }
}

#[test]
fn an_implicit_build_that_is_reopened_needs_nobody() {
    let graph = [drv("a"), drv("b").needs("a"), drv("c").needs("b")];
    let mut world = World::of(&graph);
    world.build(spec(1, "c"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    let implicit: Vec<_> = world
        .history
        .all_finished()
        .filter(|end| end.build.implicit)
        .collect();
    let of_b = implicit
        .iter()
        .find(|end| end.build.derivation.name == "b")
        .unwrap();
    world.build(again(2, "a"));
    world.work_off(1);
    let results = world.hook(Vec::new(), vec![of_b.clone()]);
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Ready);
    world.restart();
    world.settle();
    assert_eq!(world.work_off(1), ["b"]);
}

#[test]
fn a_hook_asks_and_moves_on_by_one_commit() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    let results = world.hook(vec![spec(1, "b"), spec(2, "nothing")], Vec::new());
    assert_eq!(results[0].as_ref().unwrap().state, BuildState::Blocked);
    assert_eq!(results[1].as_ref().unwrap_err().why, DeniedWhy::NotFound);
    let key = grange_model::Key::Hook("hook".to_owned());
    assert!(world.history.get(&key).is_some());
    assert_eq!(world.hook(Vec::new(), Vec::new()), []);
}

#[test]
fn a_cut_in_the_middle_of_a_hooks_request_writes_all_or_nothing() {
    let graph: Vec<_> = (0..40).map(|number| drv(&format!("d{number}"))).collect();
    for cut in 0..200 {
        let mut world = World::of(&graph);
        world.config.slice = 7;
        world.restart();
        let ticket = world.ticket();
        let builds = (0..40).map(|number| spec(number + 1, &format!("d{number}")));
        world.input(grange_coordinator_core::Input::Hook {
            ticket,
            record: grange_model::HookRecord {
                name: "hook".to_owned(),
                ..Default::default()
            },
            builds: builds.collect(),
            reopen: Vec::new(),
        });
        let mut steps = 0;
        while steps < cut && !world.replies.contains_key(&ticket) {
            steps += 1;
            world.poll();
            world.write_commit();
            world.answer_lookup();
            world.core.handle_timeout(world.now);
        }
        world.poll();
        world.write_commit();
        let key = grange_model::Key::Hook("hook".to_owned());
        let moved = world.history.get(&key).is_some();
        let made = world.history.builds().count();
        assert_eq!(made, if moved { 40 } else { 0 }, "cut at {cut}");
        if steps < cut {
            assert!(moved);
            return;
        }
    }
    panic!("the request never ended");
}
