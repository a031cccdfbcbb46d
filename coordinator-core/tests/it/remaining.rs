//! What remains after a build decides, where the policy wants that.

#![expect(
    clippy::disallowed_types,
    reason = "an order may be shared, and the one that remembers is"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use grange_coordinator_core::{
    ByCriticalPath, ByPriority, Candidate, Config, Input, Order, Policy, Reply,
};
use grange_model::{BuildSpec, HistoryRecord, Quantiles, Spread, Timestamp};

use crate::world::World;
use crate::world::names::{Drv, drv, spec};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

fn with(order: Vec<Arc<dyn Order>>, graph: &[Drv]) -> World {
    let policy = Policy {
        order,
        ..Policy::default()
    };
    let config = Config {
        policy,
        ..Config::default()
    };
    let mut world = World::with(config);
    world.store(graph);
    world
}

fn by_critical_path(graph: &[Drv]) -> World {
    with(vec![Arc::new(ByPriority), Arc::new(ByCriticalPath)], graph)
}

/// Builds of these packages always took so many seconds.
fn took(world: &mut World, packages: &[(&str, u64)]) {
    let record = |&(package, seconds): &(&str, u64)| {
        let milliseconds = seconds * SECOND;
        let (p50, p90) = (milliseconds, milliseconds);
        HistoryRecord {
            package: package.to_owned(),
            system: "x86_64-linux".to_owned(),
            updated_at: Timestamp(1),
            duration: Spread::of(5, Quantiles { p50, p90 }, milliseconds).unwrap(),
            memory: Spread::default(),
        }
    };
    let records = packages.iter().map(record).collect();
    let reply = world.ask(|ticket| Input::ImportHistory { ticket, records });
    assert_eq!(reply, Some(Reply::Done));
}

/// Two chains: `a` with `b`, `c` and `d` on top of each other, and `x` with `y`.
fn chains() -> Vec<Drv> {
    vec![
        drv("a"),
        drv("b").needs("a"),
        drv("c").needs("b"),
        drv("d").needs("c"),
        drv("x"),
        drv("y").needs("x"),
    ]
}

#[test]
fn the_longest_way_to_the_end_goes_first() {
    let mut world = by_critical_path(&chains());
    took(
        &mut world,
        &[("a", 5), ("b", 5), ("c", 5), ("d", 5), ("x", 2), ("y", 17)],
    );
    for (number, name) in (1..).zip(["x", "y", "a", "b", "c", "d"]) {
        world.build(spec(number, name));
    }
    world.pass(SECOND);
    // a 20, x 19, y 17, b 15, and so on.
    assert_eq!(world.work_off(1), ["a", "x", "y", "b", "c", "d"]);
}

#[test]
fn priority_goes_before_it() {
    let mut world = by_critical_path(&chains());
    for (number, name) in (1..).zip(["a", "b"]) {
        world.build(spec(number, name));
    }
    world.build(BuildSpec {
        priority: 1,
        ..spec(3, "x")
    });
    world.pass(SECOND);
    assert_eq!(world.work_off(1), ["x", "a", "b"]);
}

#[test]
fn who_comes_later_counts_and_who_leaves_counts_no_more() {
    let mut world = by_critical_path(&chains());
    took(
        &mut world,
        &[("a", 5), ("b", 5), ("c", 5), ("d", 5), ("x", 2), ("y", 17)],
    );
    world.build(spec(1, "a"));
    world.build(spec(2, "x"));
    world.build(spec(3, "y"));
    world.pass(SECOND);
    world.build(spec(4, "b"));
    world.build(spec(5, "c"));
    world.build(spec(6, "d"));
    world.pass(SECOND);
    world.cancel(3);
    world.pass(SECOND);
    world.check();
    assert_eq!(world.take_one(1).derivation.name, "a");
    world.build(spec(7, "y"));
    world.pass(SECOND);
    assert_eq!(world.take_one(2).derivation.name, "x");
}

#[test]
fn what_others_have_learned_counts_ten_minutes_later() {
    let mut world = by_critical_path(&chains());
    world.build(spec(1, "a"));
    world.build(spec(2, "x"));
    world.build(spec(3, "y"));
    took(&mut world, &[("a", 3_600), ("x", 1), ("y", 1)]);
    world.pass(SECOND);
    world.check();
    world.pass(11 * MINUTE);
    world.check();
    assert_eq!(world.work_off(1), ["a", "x", "y"]);
}

/// Remembers what it was told of the last.
#[derive(Debug, Default)]
struct Listener {
    needs: bool,
    heard: Mutex<Vec<(String, Duration, Duration)>>,
}

impl Order for Listener {
    fn key(&self, candidate: &Candidate<'_>) -> i64 {
        let name = candidate.derivation.name.clone();
        let mut heard = self.heard.lock().unwrap();
        heard.push((name, candidate.duration, candidate.remaining));
        0
    }

    fn needs_remaining(&self) -> bool {
        self.needs
    }
}

#[test]
fn orders_hear_durations_and_those_that_need_it_what_remains() {
    for (needs, remains) in [(false, 3), (true, 7)] {
        let listener = Arc::new(Listener {
            needs,
            ..Listener::default()
        });
        let mut world = with(vec![Arc::<Listener>::clone(&listener)], &chains());
        took(&mut world, &[("x", 3), ("y", 4)]);
        world.build(spec(1, "x"));
        world.build(spec(2, "y"));
        world.pass(SECOND);
        let last = listener.heard.lock().unwrap().last().cloned();
        let seconds = Duration::from_secs;
        assert_eq!(last, Some(("x".to_owned(), seconds(3), seconds(remains))));
    }
}

#[test]
fn a_wide_graph_is_reckoned_in_slices() {
    // 300 need `base`; one of them is needed by `top`.
    let mut graph = vec![drv("base"), drv("other")];
    graph.extend((0..300).map(|at| drv(&format!("w{at}")).needs("base")));
    graph.push(drv("top").needs("w0"));
    let policy = Policy {
        order: vec![Arc::new(ByCriticalPath)],
        ..Policy::default()
    };
    let config = Config {
        policy,
        slice: 10,
        ..Config::default()
    };
    let mut world = World::with(config);
    world.store(&graph);
    took(&mut world, &[("base", 1), ("top", 100), ("other", 50)]);
    world.build(spec(1, "other"));
    world.build(spec(2, "base"));
    for at in 0..300 {
        world.build(spec(10 + at, &format!("w{at}")));
    }
    world.build(spec(3, "top"));
    world.pass(MINUTE);
    world.check();
    assert_eq!(world.take_one(1).derivation.name, "base");
}
