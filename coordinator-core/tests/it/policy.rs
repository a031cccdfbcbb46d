//! Policies other than the usual one.

use std::sync::Arc;

use grange_coordinator_core::{
    Assignment, ByLocality, BySpeed, Candidate, Capacity, Config, Order, Placement, Policy, Reply,
    Report, Seat,
};
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

/// It has made an output of so many bytes.
fn succeed_with(world: &mut World, agent: u128, assigned: &Assignment, bytes: u64) {
    let Report::Succeeded {
        mut outputs,
        log,
        usage,
    } = world.success(assigned, 1)
    else {
        panic!("a success");
    };
    outputs[0].nar_size = bytes;
    let report = Report::Succeeded {
        outputs,
        log,
        usage,
    };
    assert_eq!(world.report(agent, assigned.attempt, report), Reply::Done);
}

#[test]
fn whoever_has_most_of_the_inputs_gets_the_build() {
    let mut world = World::with(Config {
        policy: Policy {
            placement: Some(Arc::new(ByLocality)),
            ..Policy::default()
        },
        ..Config::default()
    });
    world.store(&[
        drv("small"),
        drv("large"),
        drv("both").needs("small").needs("large"),
        drv("again").needs("small").needs("large"),
        drv("other").needs("large"),
    ]);
    for (number, name) in (1..).zip(["small", "large", "both", "again", "other"]) {
        world.build(spec(number, name));
    }
    let small = world.take_one(1);
    let large = world.take_one(2);
    assert_eq!(small.derivation.name, "small");
    succeed_with(&mut world, 1, &small, 10);
    // Both wait; the first has more room.
    let first = world.exchange(1, capacity(8), &[], 60_000);
    let second = world.exchange(2, capacity(3), &[large.attempt], 60_000);
    succeed_with(&mut world, 2, &large, 1_000);
    let names = |world: &mut World, ticket| {
        let told = world.told(ticket).map(|told| told.assign);
        let names = told.into_iter().flatten().map(|it| it.derivation.name);
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&mut world, second), ["both", "again", "other"]);
    assert_eq!(names(&mut world, first), [""; 0]);
}

#[test]
fn the_fastest_gets_the_build() {
    let mut world = world(Policy {
        placement: Some(Arc::new(BySpeed)),
        ..Policy::default()
    });
    let waiting = [1_000, 4_000, 0].map(|speed| {
        let number = u128::from(speed) + 1;
        let capacity = Capacity {
            speed,
            ..capacity(if speed == 4_000 { 1 } else { 9 })
        };
        world.exchange_new(number, capacity)
    });
    world.build(spec(1, "a"));
    let got = waiting.map(|ticket| world.told(ticket).is_some());
    assert_eq!(got, [false, true, false]);
}
