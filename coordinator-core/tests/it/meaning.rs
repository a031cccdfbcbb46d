//! Each sentence of what the states mean.

use grange_coordinator_core::{DeniedWhy, Why};
use grange_model::{AttemptOutcome, BuildSpec, BuildState, FailureKind, Key, LostReason, Record};

use crate::world::World;
use crate::world::names::{build_id, capacity, digest, drv, spec};

#[test]
fn a_build_is_ready_when_no_input_is_expected() {
    let mut world = World::of(&[drv("a")]);
    assert_eq!(world.build(spec(1, "a")), BuildState::Ready);
    let assignment = world.take_one(1);
    assert_eq!(world.state(1), BuildState::Running);
    assert_eq!(assignment.builds, vec![build_id(1)]);
    assert_eq!(world.core.why(build_id(1)), Why::Running);
    world.succeed(1, &assignment);
    assert_eq!(world.state(1), BuildState::Succeeded);
    let finished = world.finished(1);
    assert_eq!(finished.outputs.len(), 1);
    assert!(finished.outputs[0].canonical);
    assert_eq!(finished.attempts.len(), 1);
}

#[test]
fn implicit_builds_are_made_for_untried_inputs() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("b")]);
    assert_eq!(world.build(spec(1, "c")), BuildState::Blocked);
    assert_eq!(world.implicit("a").unwrap().state, BuildState::Ready);
    assert_eq!(world.implicit("b").unwrap().state, BuildState::Blocked);
    let Why::Blocked(why) = world.core.why(build_id(1)) else {
        panic!("it is blocked");
    };
    assert_eq!((why.inputs, why.waits_for[0].name.as_str()), (1, "b"));
    assert_eq!((why.blocked, why.ready, why.running), (1, 1, 0));
    assert!(why.complete);
    let roots: Vec<_> = why.roots.iter().map(|it| &*it.derivation.name).collect();
    assert_eq!(roots, ["a"]);
    assert_eq!(why.roots[0].problems, ["no agent is present"]);
    assert_eq!(world.work_off(1), ["a", "b", "c"]);
    assert_eq!(world.state(1), BuildState::Succeeded);
}

#[test]
fn available_inputs_are_not_built() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(spec(1, "a"));
    world.work_off(1);
    assert_eq!(world.build(spec(2, "b")), BuildState::Ready);
    assert_eq!(world.core.builds(None).count(), 1);
}

#[test]
fn a_build_whose_outputs_are_available_succeeds_at_once() {
    let mut world = World::of(&[drv("a").also("lib")]);
    world.build(spec(1, "a"));
    world.work_off(1);
    assert_eq!(world.build(spec(2, "a")), BuildState::Succeeded);
    assert!(world.finished(2).attempts.is_empty());
    world.restart();
    assert_eq!(world.build(spec(3, "a")), BuildState::Succeeded);
}

#[test]
fn again_builds_what_is_available_and_records_what_came_of_it() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(spec(1, "a"));
    world.work_off(1);
    let again = BuildSpec {
        again: true,
        ..spec(2, "a")
    };
    assert_eq!(world.build(again), BuildState::Ready);
    // Nobody waits for it.
    assert_eq!(world.build(spec(3, "b")), BuildState::Ready);
    world.restart();
    assert_eq!(world.state(3), BuildState::Ready);
    let assigned = world.take(1, 2);
    let rebuilt = assigned
        .iter()
        .find(|one| one.derivation.name == "a")
        .unwrap();
    let report = world.success(rebuilt, 9);
    world.report(1, rebuilt.attempt, report);
    let finished = world.finished(2);
    assert_eq!(finished.state, BuildState::Succeeded);
    assert!(finished.build.rebuild && !finished.outputs[0].canonical);
    assert_eq!(finished.outputs[0].nar_hash.0, [9; 32]);
    let canonical = world
        .history
        .item(drv("a").0.outputs[0].item.digest)
        .unwrap();
    assert_eq!(canonical.nar_hash.0, [1; 32]);
}

#[test]
fn a_remembered_failure_fails_at_once() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    assert_eq!(world.state(1), BuildState::Failed);
    world.restart();
    assert_eq!(world.build(spec(2, "a")), BuildState::Failed);
    let reason = world.finished(2).reason;
    assert!(reason.contains("it does not compile"), "{reason}");
    let again = BuildSpec {
        again: true,
        ..spec(3, "a")
    };
    assert_eq!(world.build(again), BuildState::Ready);
    world.work_off(1);
    assert_eq!(world.state(3), BuildState::Succeeded);
    assert_eq!(world.build(spec(4, "a")), BuildState::Succeeded);
}

#[test]
fn a_failure_is_remembered_with_its_kind() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    match world.history.get(&Key::Failure(digest("a"))) {
        Some(Record::Failure(failure)) => assert_eq!(failure.kind, Some(FailureKind::Exit(1))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_is_forgotten_in_time() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    let memory = world.config.remember_failures.as_millis();
    world.pass(u64::try_from(memory).unwrap());
    assert_eq!(world.build(spec(2, "a")), BuildState::Ready);
}

#[test]
fn what_needs_what_failed_ends_with_its_root() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("b")]);
    world.build(spec(1, "a"));
    world.build(spec(2, "b"));
    world.build(spec(3, "c"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    let states = [1, 2, 3].map(|number| world.state(number));
    let lost = BuildState::FailedDependency;
    assert_eq!(states, [BuildState::Failed, lost, lost]);
    let cause = &world.finished(3).causes[0];
    assert_eq!((cause.build, cause.root), (build_id(2), build_id(1)));
    assert_eq!(cause.reason, LostReason::FailedDependency);
    assert_eq!(cause.root_derivation.name, "a");
}

#[test]
fn what_needs_what_failed_says_so() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("b")]);
    world.build(spec(1, "b"));
    world.build(spec(2, "c"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    let reasons = [1, 2].map(|number| world.finished(number).reason);
    assert_eq!(reasons[0], "its input a failed; root: a");
    assert_eq!(reasons[1], "its input b needs what failed; root: a");
}

#[test]
fn what_needs_what_failed_before_ends_at_once() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("b")]);
    world.build(spec(1, "a"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    let builds = vec![spec(3, "c"), spec(2, "b")];
    let results = world.submit_all(builds);
    for result in results {
        assert_eq!(result.unwrap().state, BuildState::FailedDependency);
    }
    assert_eq!(world.finished(3).causes[0].root, build_id(1));
    let plain = BuildSpec {
        inputs: false,
        ..spec(4, "b")
    };
    assert_eq!(world.build(plain), BuildState::FailedDependency);
    assert_eq!(world.core.builds(None).count(), 0);
}

#[test]
fn unfinished_builds_share_attempts() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    world.build(spec(2, "a"));
    let assignment = world.take_one(1);
    assert_eq!(assignment.builds, vec![build_id(1), build_id(2)]);
    assert_eq!(world.build(spec(3, "a")), BuildState::Running);
    assert_eq!(world.take(2, 1), []);
    world.succeed(1, &assignment);
    for number in 1..=3 {
        assert_eq!(world.state(number), BuildState::Succeeded);
    }
}

#[test]
fn again_is_tried_beside_the_others() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let again = |number| BuildSpec {
        again: true,
        ..spec(number, "a")
    };
    world.build(again(2));
    world.build(again(3));
    let assigned: Vec<_> = (1..=3).map(|agent| world.take_one(agent)).collect();
    world.fail(1, &assigned[0]);
    assert_eq!(world.state(1), BuildState::Failed);
    assert_eq!(world.state(2), BuildState::Running);
    world.succeed(2, &assigned[1]);
    world.succeed(3, &assigned[2]);
    let canonical = |number| world.finished(number).outputs[0].canonical;
    assert_eq!([canonical(2), canonical(3)], [true, false]);
}

#[test]
fn the_same_build_twice_is_one() {
    let mut world = World::of(&[drv("a"), drv("b")]);
    let twice = vec![spec(1, "a"), spec(1, "a"), spec(1, "b")];
    let results = world.submit_all(twice);
    assert!(results[0].is_ok() && results[1].is_ok());
    assert_eq!(results[2].as_ref().unwrap_err().why, DeniedWhy::Conflict);
    assert_eq!(world.core.counts().ready, 1);
    world.work_off(1);
    assert_eq!(world.build(spec(1, "a")), BuildState::Succeeded);
    assert_eq!(
        world.submit(spec(1, "b")).unwrap_err().why,
        DeniedWhy::Conflict
    );
    world.restart();
    assert_eq!(world.build(spec(1, "a")), BuildState::Succeeded);
    assert_eq!(
        world.submit(spec(1, "b")).unwrap_err().why,
        DeniedWhy::Conflict
    );
}

#[test]
fn a_derivation_must_be_there() {
    let mut world = World::of(&[drv("a")]);
    let results = world.submit_all(vec![spec(1, "nothing"), spec(2, "a")]);
    assert_eq!(results[0].as_ref().unwrap_err().why, DeniedWhy::NotFound);
    assert_eq!(results[1].as_ref().unwrap().state, BuildState::Ready);
}

#[test]
fn one_fixed_output_is_built_by_one_of_several() {
    let one = drv("one").fixed("tar");
    let other = drv("other").fixed("tar");
    let user = drv("user").needs_output("one", "tar");
    let mut world = World::of(&[one, other, user]);
    world.build(spec(1, "one"));
    world.build(spec(2, "other"));
    world.build(spec(3, "user"));
    let first = world.take_one(1);
    world.fail(1, &first);
    // The other may still bring it.
    assert_eq!(world.state(3), BuildState::Blocked);
    let second = world.take_one(1);
    world.succeed(1, &second);
    assert_eq!(world.state(3), BuildState::Ready);
    assert_eq!(world.build(spec(4, "one")), BuildState::Succeeded);
}

#[test]
fn what_another_derivation_brings_ends_a_build() {
    let mut world = World::of(&[drv("one").fixed("tar"), drv("other").fixed("tar")]);
    world.build(spec(1, "one"));
    world.build(spec(2, "other"));
    let mut assigned = world.take(1, 2);
    let running = assigned.pop().unwrap();
    world.succeed(1, &assigned[0]);
    assert_eq!(world.state(2), BuildState::Succeeded);
    // The agent learns that nobody wants it any more.
    let ticket = world.exchange(1, capacity(2), &[running.attempt], 1_000);
    assert_eq!(world.told(ticket).unwrap().drop, vec![running.attempt]);
}

#[test]
fn an_uploaded_item_ends_builds_and_frees_users() {
    let mut world = World::of(&[
        drv("one").fixed("tar"),
        drv("user").needs_output("one", "tar"),
    ]);
    world.build(spec(1, "user"));
    assert!(world.implicit("one").is_some());
    world.upload("tar");
    assert!(world.implicit("one").is_none());
    assert_eq!(world.state(1), BuildState::Ready);
}

#[test]
fn a_build_that_an_upload_ends_says_so() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    world.upload("a:out");
    let finished = world.finished(1);
    assert_eq!(finished.state, BuildState::Succeeded);
    assert_eq!(finished.reason, "its outputs have become available");
}

#[test]
fn a_failed_build_tells_of_its_attempt() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    let attempt = world.finished(1).attempts.remove(0);
    assert_eq!(attempt.id, assignment.attempt);
    let failed = AttemptOutcome::Failed {
        kind: FailureKind::Exit(1),
        message: "it does not compile".to_owned(),
    };
    assert_eq!(attempt.outcome, failed);
}

#[test]
fn inputs_of_what_is_built_again_are_built_as_others() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(BuildSpec {
        again: true,
        ..spec(1, "b")
    });
    assert!(!world.implicit("a").unwrap().record.spec.again);
}

#[test]
fn every_output_is_needed() {
    let parts = drv("parts").also("lib").also("doc");
    let user = drv("user").needs_output("parts", "parts:lib");
    let mut world = World::of(&[parts, user]);
    world.build(spec(1, "user"));
    world.upload("parts:lib");
    // Nobody waits for the rest.
    assert_eq!(world.state(1), BuildState::Ready);
    world.build(spec(2, "parts"));
    let mut assigned = world.take(1, 2);
    assigned.retain(|one| one.derivation.name == "parts");
    world.succeed(1, &assigned[0]);
    let outputs = world.finished(2).outputs;
    let canonical: Vec<_> = outputs.iter().map(|output| output.canonical).collect();
    assert_eq!(canonical, [true, false, true]);
}

#[test]
fn submitters_are_told_who_could_take_a_build() {
    let kvm = drv("kvm").feature("kvm");
    let mut world = World::of(&[drv("a"), kvm, drv("arm").system("aarch64-linux")]);
    let warnings = |world: &mut World, spec: BuildSpec| world.submit(spec).unwrap().warnings;
    assert_eq!(warnings(&mut world, spec(1, "a")), ["no agent is present"]);
    world.take(1, 0);
    assert!(warnings(&mut world, spec(2, "a")).is_empty());
    let told = warnings(&mut world, spec(3, "kvm"));
    assert_eq!(told, ["no agent that is present offers feature:kvm=yes"]);
    let told = warnings(&mut world, spec(4, "arm"));
    assert_eq!(told, ["no agent that is present builds for aarch64-linux"]);
    let why = world.core.why(build_id(3));
    assert!(matches!(why, Why::NobodyOffers { .. }), "{why:?}");
}

#[test]
fn too_many_classes_are_refused() {
    let mut world = World::with(grange_coordinator_core::Config {
        max_classes: 2,
        ..Default::default()
    });
    world.store(&[drv("a"), drv("b").needs("a")]);
    let requiring = |number, value| BuildSpec {
        requires: crate::world::names::tags(&[("year", value)]),
        ..spec(number, "b")
    };
    // One class for the implicit build, one for its own.
    assert!(world.submit(requiring(1, "2019")).is_ok());
    let denied = world.submit(requiring(2, "2020")).unwrap_err();
    assert_eq!(denied.why, DeniedWhy::TooMuch);
    assert!(world.submit(requiring(3, "2019")).is_ok());
    world.cancel(1);
    world.cancel(3);
    assert!(world.submit(requiring(4, "2020")).is_ok());
}

#[test]
fn what_was_made_for_a_refused_build_ends() {
    let mut world = World::with(grange_coordinator_core::Config {
        max_classes: 1,
        ..Default::default()
    });
    world.store(&[drv("a"), drv("b").needs("a"), drv("c")]);
    let other = BuildSpec {
        requires: crate::world::names::tags(&[("year", "2019")]),
        ..spec(1, "b")
    };
    world.build(spec(2, "c"));
    assert_eq!(world.submit(other).unwrap_err().why, DeniedWhy::TooMuch);
    assert!(world.implicit("a").is_none());
}

/// `fetch` and `mirror` make the same, and `mirror` needs a `tool` that needs it.
#[test]
fn nothing_waits_for_itself() {
    let graph = [
        drv("fetch").fixed("tar"),
        drv("tool").needs_output("fetch", "tar"),
        drv("mirror").needs("tool").fixed("tar"),
    ];
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1], [3, 1, 2]] {
        for restart in [false, true] {
            let mut world = World::of(&graph);
            for number in order {
                let name = ["fetch", "tool", "mirror"][usize::try_from(number).unwrap() - 1];
                world.build(BuildSpec {
                    inputs: false,
                    ..spec(number, name)
                });
            }
            if restart {
                world.restart();
                world.settle();
            }
            let names: Vec<_> = world.take(1, 1).into_iter().collect();
            assert_eq!(names[0].derivation.name, "fetch", "{order:?}");
            world.fail(1, &names[0]);
            let lost = BuildState::FailedDependency;
            assert_eq!([world.state(2), world.state(3)], [lost, lost], "{order:?}");
        }
    }
}

#[test]
fn what_comes_first_ends_who_waits_for_itself() {
    let graph = [
        drv("fetch").fixed("tar"),
        drv("tool").needs_output("fetch", "tar"),
        drv("mirror").needs("tool").fixed("tar"),
    ];
    let mut world = World::of(&graph);
    world.build(spec(1, "mirror"));
    // With that its own output is there, and nobody needs the tool.
    assert_eq!(world.work_off(1), ["fetch"]);
    assert_eq!(world.state(1), BuildState::Succeeded);
    assert_eq!(world.core.builds(None).count(), 0);
}
