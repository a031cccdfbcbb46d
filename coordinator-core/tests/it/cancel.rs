//! Builds that are not wanted any more.

use grange_model::{BuildState, LostReason};

use crate::world::World;
use crate::world::names::{build_id, capacity, drv, spec};

#[test]
fn one_of_two_builds_that_share_is_canceled() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    world.build(spec(2, "a"));
    let assignment = world.take_one(1);
    assert_eq!(world.cancel(1), Some(BuildState::Canceled));
    assert_eq!(world.state(2), BuildState::Running);
    world.succeed(1, &assignment);
    assert_eq!(world.state(1), BuildState::Canceled);
    assert_eq!(world.state(2), BuildState::Succeeded);
}

#[test]
fn the_last_one_takes_its_attempt_with_it() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let assignment = world.take_one(1);
    let ticket = world.exchange(1, capacity(1), &[assignment.attempt], 10_000);
    assert_eq!(world.told(ticket), None);
    world.cancel(1);
    assert_eq!(world.told(ticket).unwrap().drop, vec![assignment.attempt]);
    assert_eq!(world.cancel(1), None);
}

#[test]
fn implicit_builds_end_with_the_last_build_that_wants_them() {
    let graph = [
        drv("a"),
        drv("b").needs("a"),
        drv("c").needs("b"),
        drv("d").needs("a"),
    ];
    let mut world = World::of(&graph);
    world.build(spec(1, "c"));
    world.build(spec(2, "d"));
    world.cancel(1);
    assert!(world.implicit("b").is_none());
    assert!(world.implicit("a").is_some());
    world.cancel(2);
    assert_eq!(world.core.builds(None).count(), 0);
    // That was nobody's will, so that nothing is remembered of it.
    assert_eq!(world.build(spec(3, "c")), BuildState::Blocked);
    assert!(world.implicit("a").is_some());
}

#[test]
fn implicit_builds_that_nobody_wants_end_when_the_coordinator_starts() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(spec(1, "b"));
    world.settle();
    // The end of the build is written, and what follows from it is not.
    let ticket = world.ticket();
    let builds = vec![build_id(1)];
    world.config.slice = 1;
    world.restart();
    world.settle();
    world.input(grange_coordinator_core::Input::Cancel { ticket, builds });
    world.poll();
    world.write_commit();
    world.restart();
    world.settle();
    assert_eq!(world.core.builds(None).count(), 0);
}

#[test]
fn what_needs_a_canceled_build_ends() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(spec(1, "a"));
    world.build(spec(2, "b"));
    world.cancel(1);
    assert_eq!(world.state(2), BuildState::FailedDependency);
    let cause = world.finished(2).causes.remove(0);
    assert_eq!(
        (cause.reason, cause.root),
        (LostReason::Canceled, build_id(1))
    );
    // It is remembered for a while, but not against who asks for it.
    assert_eq!(world.build(spec(3, "b")), BuildState::FailedDependency);
    assert_eq!(world.build(spec(4, "a")), BuildState::Ready);
    assert_eq!(world.build(spec(5, "b")), BuildState::Blocked);
    world.cancel(4);
    let memory = world.config.remember_cancels.as_millis();
    world.pass(u64::try_from(memory).unwrap() + 1);
    assert_eq!(world.build(spec(6, "b")), BuildState::Blocked);
}

#[test]
fn an_explicit_build_outlives_what_needs_it() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(spec(1, "b"));
    world.build(spec(2, "a"));
    world.cancel(1);
    assert!(world.implicit("a").is_none());
    assert_eq!(world.state(2), BuildState::Ready);
}

#[test]
fn a_canceled_build_says_so() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    world.cancel(1);
    assert_eq!(world.finished(1).reason, "canceled");
}

#[test]
fn an_implicit_build_that_nobody_wants_says_so() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(spec(1, "b"));
    let implicit = world.implicit("a").unwrap().record.spec.id;
    world.cancel(1);
    let finished = world.history.finished(implicit).unwrap();
    assert_eq!(finished.reason, "nothing that needs it is left");
}

/// The invariants are looked at after each step: what is kept of users follows those that are there.
#[test]
fn users_that_come_and_go_leave_nothing_behind() {
    let users = (0..100).map(|number| drv(&format!("user{number}")).needs("a"));
    let graph: Vec<_> = users.chain([drv("a")]).collect();
    let mut world = World::of(&graph);
    world.build(spec(1, "a"));
    for number in 0..100 {
        world.build(spec(2 + number, &format!("user{number}")));
        world.cancel(2 + number);
    }
    assert_eq!(world.core.builds(None).count(), 1);
    world.check();
}

#[test]
fn a_failure_says_more_than_a_cancellation() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(spec(1, "a"));
    let again = grange_model::BuildSpec {
        again: true,
        ..spec(2, "a")
    };
    world.build(again);
    world.build(spec(3, "b"));
    let assignment = world.take_one(1);
    world.fail(1, &assignment);
    assert_eq!(world.state(3), BuildState::Blocked);
    world.cancel(2);
    let cause = world.finished(3).causes.remove(0);
    assert_eq!(
        (cause.reason, cause.root),
        (LostReason::Failed, build_id(1))
    );
    assert_eq!(world.build(spec(4, "a")), BuildState::Failed);
}
