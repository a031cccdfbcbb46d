//! Policies other than the usual one.

use std::sync::Arc;

use grange_coordinator_core::{Candidate, Config, Order, Placement, Policy, Seat};
use grange_model::BuildSpec;

use crate::world::World;
use crate::world::names::{agent_id, capacity, drv, spec};

/// By name, backwards: whatever the priority.
#[derive(Debug)]
struct ByName;

impl Order for ByName {
    fn key(&self, candidate: &Candidate<'_>) -> i64 {
        -i64::from(candidate.derivation.name.as_bytes()[0])
    }
}

/// The agent of this number, if it waits.
#[derive(Debug)]
struct Favourite(u128);

impl Placement for Favourite {
    fn fit(&self, candidate: &Candidate<'_>, seat: &Seat<'_>) -> i64 {
        i64::from(seat.agent == agent_id(self.0) && candidate.priority >= 0)
    }
}

fn world(policy: Policy) -> World {
    let mut world = World::with(Config {
        policy,
        ..Config::default()
    });
    world.store(&["a", "b", "c"].map(drv));
    world
}

#[test]
fn an_order_of_ones_own_decides_and_age_among_equals() {
    let mut world = world(Policy {
        order: vec![Arc::new(ByName)],
        ..Policy::default()
    });
    world.store(&[drv("bb")]);
    for (number, name) in (1..).zip(["a", "c", "bb", "b"]) {
        world.build(BuildSpec {
            priority: i32::try_from(number).unwrap(),
            ..spec(number, name)
        });
    }
    assert_eq!(world.work_off(1), ["c", "bb", "b", "a"]);
}

#[test]
fn without_any_order_the_oldest_comes_first() {
    let mut world = world(Policy {
        order: Vec::new(),
        ..Policy::default()
    });
    for (number, name) in (1..).zip(["c", "a", "b"]) {
        world.build(BuildSpec {
            priority: i32::try_from(number).unwrap(),
            ..spec(number, name)
        });
    }
    assert_eq!(world.work_off(1), ["c", "a", "b"]);
}

#[test]
fn a_placement_chooses_among_those_that_wait() {
    let mut world = world(Policy {
        placement: Some(Arc::new(Favourite(2))),
        ..Policy::default()
    });
    // The third has most room.
    let waiting: Vec<_> = (1..=3u32)
        .map(|agent| world.exchange_new(u128::from(agent), capacity(agent)))
        .collect();
    world.build(spec(1, "a"));
    let got = |world: &mut World, at: usize| world.told(waiting[at]).map(|told| told.assign.len());
    assert_eq!(
        (got(&mut world, 0), got(&mut world, 1), got(&mut world, 2)),
        (None, Some(1), None)
    );
    // It waits no more; then room decides.
    world.build(spec(2, "b"));
    assert_eq!((got(&mut world, 0), got(&mut world, 2)), (None, Some(1)));
}

#[test]
fn a_placement_sees_no_more_agents_than_lookahead() {
    let mut world = world(Policy {
        placement: Some(Arc::new(Favourite(1))),
        lookahead: 2,
        ..Policy::default()
    });
    let waiting: Vec<_> = (1..=3u32)
        .map(|agent| world.exchange_new(u128::from(agent), capacity(agent)))
        .collect();
    world.build(spec(1, "a"));
    assert!(world.told(waiting[0]).is_none());
    assert_eq!(
        world.told(waiting[2]).map(|told| told.assign.len()),
        Some(1)
    );
}
