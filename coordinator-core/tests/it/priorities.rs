//! Priorities flow to inputs, and back.

use grange_model::{BuildSpec, BuildState};

use crate::world::World;
use crate::world::names::{drv, spec};

fn priority(number: u128, derivation: &str, priority: i32) -> BuildSpec {
    BuildSpec {
        priority,
        ..spec(number, derivation)
    }
}

fn derived(world: &World, numbers: &[u128]) -> Vec<i32> {
    let derived = |number: &u128| world.status(*number).derived_priority;
    numbers.iter().map(derived).collect()
}

fn chain() -> World {
    let graph = [
        drv("a"),
        drv("b").needs("a"),
        drv("c").needs("b"),
        drv("d").needs("c"),
        drv("other"),
    ];
    let mut world = World::of(&graph);
    for (number, name) in (1..).zip(["a", "b", "c", "d"]) {
        world.build(priority(number, name, 0));
    }
    world
}

#[test]
fn raising_reaches_three_levels_down() {
    let mut world = chain();
    world.build(priority(5, "other", 3));
    world.build(priority(6, "d", 7));
    assert_eq!(derived(&world, &[1, 2, 3, 4, 5]), [7, 7, 7, 7, 3]);
    assert_eq!(world.take_one(1).derivation.name, "a");
}

#[test]
fn lowering_reaches_three_levels_down() {
    let mut world = chain();
    world.build(priority(5, "other", 3));
    world.build(priority(6, "d", 7));
    world.build(priority(7, "c", 2));
    world.cancel(6);
    assert_eq!(derived(&world, &[1, 2, 3, 4, 5]), [2, 2, 2, 0, 3]);
    assert_eq!(world.take_one(1).derivation.name, "other");
}

#[test]
fn negative_priorities_are_raised_by_others() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.build(priority(1, "a", -5));
    world.build(priority(2, "b", -9));
    assert_eq!(derived(&world, &[1, 2]), [-5, -9]);
    world.build(priority(3, "b", -2));
    assert_eq!(derived(&world, &[1, 2, 3]), [-2, -2, -2]);
}

#[test]
fn implicit_builds_have_the_priority_of_who_needs_them() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("a"), drv("z")]);
    world.build(priority(1, "b", 4));
    world.build(priority(2, "z", 5));
    assert_eq!(world.implicit("a").unwrap().derived_priority, 4);
    world.build(priority(3, "c", 6));
    assert_eq!(world.implicit("a").unwrap().derived_priority, 6);
    world.cancel(3);
    assert_eq!(world.implicit("a").unwrap().derived_priority, 4);
    assert_eq!(world.take_one(1).derivation.name, "z");
}

#[test]
fn a_producer_that_joins_later_takes_the_priority_of_the_users() {
    let graph = [
        drv("one").fixed("tar"),
        drv("other").fixed("tar"),
        drv("user").needs_output("one", "tar"),
    ];
    let mut world = World::of(&graph);
    world.build(priority(1, "user", 8));
    world.build(priority(2, "other", 1));
    assert_eq!(derived(&world, &[2]), [8]);
    world.cancel(1);
    assert_eq!(derived(&world, &[2]), [1]);
    assert!(world.implicit("one").is_none());
}

#[test]
fn priorities_survive_a_restart() {
    let mut world = chain();
    world.build(priority(6, "d", 7));
    world.restart();
    world.settle();
    assert_eq!(derived(&world, &[1, 2, 3, 4]), [7, 7, 7, 7]);
    world.cancel(6);
    assert_eq!(derived(&world, &[1, 2, 3, 4]), [0, 0, 0, 0]);
    assert_eq!(world.state(4), BuildState::Blocked);
}

/// `mirror` makes what `tool` needs, and needs `tool`; but what it makes is available.
#[test]
fn what_is_available_hands_no_priority_on() {
    let mut world = World::of(&[
        drv("fetch").fixed("tar"),
        drv("tool").needs_output("fetch", "tar"),
        drv("mirror").fixed("tar").needs("tool"),
        drv("user").needs("tool"),
    ]);
    world.upload("tar");
    world.build(BuildSpec {
        again: true,
        ..priority(1, "mirror", 1)
    });
    world.build(priority(2, "tool", 0));
    world.build(priority(3, "user", 7));
    assert_eq!(derived(&world, &[1, 2, 3]), [1, 7, 7]);
    world.cancel(3);
    assert_eq!(derived(&world, &[1, 2]), [1, 1]);
}
