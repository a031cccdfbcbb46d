//! When builds will have ended.

use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::{ByTags, Capacity, Config, Eta, Input, Policy, Reply};
use grange_model::{BuildSpec, HistoryRecord, Quantiles, Spread, Tags, Timestamp};

use crate::world::World;
use crate::world::names::{Drv, build_id, capacity, drv, spec, tags};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

/// All packages always took a minute, but for `long` ones, which took an hour.
fn taught(config: Config, graph: &[Drv]) -> World {
    // Agents are counted on while nothing is heard of them here.
    let lease = Duration::from_hours(10);
    let mut world = World::with(Config { lease, ..config });
    world.store(graph);
    let record = |package: &str, took: u64| HistoryRecord {
        package: package.to_owned(),
        system: "x86_64-linux".to_owned(),
        updated_at: Timestamp(1),
        duration: Spread::of(
            16,
            Quantiles {
                p50: took,
                p90: took,
            },
            took,
        )
        .unwrap(),
        memory: Spread::default(),
    };
    let records = vec![record("any", MINUTE), record("long", 60 * MINUTE)];
    let reply = world.ask(|ticket| Input::ImportHistory { ticket, records });
    assert_eq!(reply, Some(Reply::Done));
    world
}

fn any(number: u32) -> Drv {
    drv(&format!("any-{number}"))
}

fn eta(world: &World, number: u128) -> Eta {
    world.core.etas(&[build_id(number)]).remove(0)
}

/// In which minute a build will have ended as likely as not.
fn minutes(world: &World, number: u128) -> f64 {
    match eta(world, number) {
        Eta::In { p50, p90, complete } => {
            assert!(complete && p90 >= p50, "{p50:?} {p90:?}");
            p50.as_secs_f64() / 60.0
        }
        eta => panic!("{eta:?}"),
    }
}

fn near(is: f64, about: f64) {
    assert!(
        (is - about).abs() < 0.03 * about + 0.02,
        "{is}, not {about}"
    );
}

#[test]
fn whoever_stands_behind_others_waits_for_them() {
    let graph: Vec<_> = (1..=40).map(any).collect();
    let mut world = taught(Config::default(), &graph);
    assert_eq!(eta(&world, 1), Eta::NotUnfinished);
    world.take(1, 2);
    for number in 1..=40u32 {
        world.build(spec(number.into(), &format!("any-{number}")));
    }
    world.take(1, 2);
    // The agent runs two, and 38 are to come.
    near(minutes(&world, 1), 1.0);
    near(minutes(&world, 3), 2.0);
    near(minutes(&world, 23), 12.0);
    near(minutes(&world, 40), 20.5);
    world.now = Timestamp(world.now.0 + MINUTE / 2);
    world.core.handle_timeout(world.now);
    near(minutes(&world, 1), 0.5);
    near(minutes(&world, 40), 20.0);
}

#[test]
fn priority_counts_before_age() {
    let graph: Vec<_> = (1..=10).map(any).collect();
    let mut world = taught(Config::default(), &graph);
    for number in 1..=9u32 {
        world.build(spec(number.into(), &format!("any-{number}")));
    }
    world.take(1, 1);
    let before = minutes(&world, 9);
    world.build(BuildSpec {
        priority: 3,
        ..spec(10, "any-10")
    });
    near(minutes(&world, 10), 2.0);
    near(minutes(&world, 9), before + 1.0);
    world.cancel(10);
    near(minutes(&world, 9), before);
}

#[test]
fn what_is_blocked_waits_for_the_longest_chain() {
    let graph = [
        drv("any-1"),
        drv("any-2").needs("any-1"),
        drv("long-3"),
        drv("any-4").needs("any-2").needs("long-3"),
        drv("any-5").needs("any-4"),
    ];
    let mut world = taught(Config::default(), &graph);
    for (number, name) in (1..).zip(["any-1", "any-2", "long-3", "any-4", "any-5"]) {
        world.build(spec(number, name));
    }
    world.take(1, 8);
    near(minutes(&world, 2), 2.0);
    near(minutes(&world, 4), 61.0);
    near(minutes(&world, 5), 62.0);
    // An hour later the long one has been late for a moment.
    world.now = Timestamp(world.now.0 + 60 * MINUTE);
    world.core.handle_timeout(world.now);
    assert!(minutes(&world, 3) < 6.0);
}

#[test]
fn fast_agents_take_less() {
    let graph: Vec<_> = (1..=8).map(any).collect();
    let mut world = taught(Config::default(), &graph);
    for number in 1..=8u32 {
        world.build(spec(number.into(), &format!("any-{number}")));
    }
    let fast = Capacity {
        speed: 4_000,
        ..capacity(1)
    };
    world.take_with(1, fast);
    near(minutes(&world, 8), 2.0);
}

#[test]
fn who_shares_waits_for_ones_own_group_by_its_share() {
    let policy = Policy {
        share: Some(Arc::new(ByTags {
            keys: vec!["user".to_owned()],
            weights: [(vec!["b".to_owned()], 3)].into(),
        })),
        ..Policy::default()
    };
    let config = Config {
        policy,
        ..Config::default()
    };
    let graph: Vec<_> = (1..=403).map(any).collect();
    let mut world = taught(config, &graph);
    let of = |user: &str, number: u32| BuildSpec {
        tags: Tags::from(tags(&[("user", user)])),
        ..spec(number.into(), &format!("any-{number}"))
    };
    for number in 1..=400 {
        world.build(of("a", number));
    }
    world.take(1, 4);
    near(minutes(&world, 400), 100.0);
    for number in 401..=403 {
        world.build(of("b", number));
    }
    // Two of three slots are theirs when they are free: 2 of one's own go before, so 2 / (3/4) of all.
    near(minutes(&world, 403), 1.0 + 2.0 / 3.0 + 1.0);
    near(minutes(&world, 400), 100.75);
}

#[test]
fn whatever_nobody_could_take_never_ends() {
    let mut strange = drv("any-2");
    strange.0.system = "strange".to_owned();
    strange = strange.needs("any-1");
    let graph = [any(1), strange, drv("any-3").needs("any-2")];
    let mut world = taught(Config::default(), &graph);
    for (number, name) in (1..).zip(["any-1", "any-2", "any-3"]) {
        world.build(spec(number, name));
    }
    let nobody = |world: &World, number| match eta(world, number) {
        Eta::Never {
            derivation,
            missing,
        } => (derivation.name, missing.join(", ")),
        eta => panic!("{eta:?}"),
    };
    assert_eq!(nobody(&world, 1).1, "no agent is present");
    world.take(1, 1);
    near(minutes(&world, 1), 1.0);
    for number in [2, 3] {
        let (name, missing) = nobody(&world, number);
        assert_eq!(name, "any-2");
        assert_eq!(missing, "no agent that is present builds for strange");
    }
}

#[test]
fn what_is_learned_later_counts_for_what_waits() {
    let lease = Duration::from_hours(10);
    let mut world = World::with(Config {
        lease,
        ..Config::default()
    });
    world.store(&[any(1), any(2)]);
    world.build(spec(1, "any-1"));
    world.build(spec(2, "any-2"));
    world.take(1, 1);
    let before = minutes(&world, 2);
    let took = Quantiles {
        p50: 60 * MINUTE,
        p90: 60 * MINUTE,
    };
    let records = vec![HistoryRecord {
        package: "any".to_owned(),
        system: "x86_64-linux".to_owned(),
        updated_at: Timestamp(1),
        duration: Spread::of(9, took, 60 * MINUTE).unwrap(),
        memory: Spread::default(),
    }];
    world.ask(|ticket| Input::ImportHistory { ticket, records });
    world.pass(11 * MINUTE);
    world.check();
    let after = minutes(&world, 2);
    assert!(after > 100.0 && before < 20.0, "{before} {after}");
}

#[test]
fn a_chain_that_is_too_long_to_follow_is_said_to_be() {
    let mut graph = vec![any(0)];
    graph.extend((1..=250).map(|at| {
        let mut wide = any(at);
        for needs in (0..at).rev().take(250) {
            wide = wide.needs(&format!("any-{needs}"));
        }
        wide
    }));
    let mut world = taught(Config::default(), &graph);
    world.take(1, 1);
    for at in 0..=250u32 {
        world.build(spec(u128::from(at) + 1, &format!("any-{at}")));
    }
    near(minutes(&world, 101), 101.0);
    let all: Vec<_> = (1..=251).map(build_id).collect();
    let etas = world.core.etas(&all);
    let complete = |eta: &Eta| matches!(eta, Eta::In { complete: true, .. });
    // What was looked at for one of them is known for the others, as far as that goes.
    assert!(etas[..120].iter().all(complete));
    for last in [&eta(&world, 251), &etas[250]] {
        assert!(
            matches!(
                last,
                Eta::In {
                    complete: false,
                    ..
                }
            ),
            "{last:?}"
        );
    }
}

#[test]
fn groups_without_number_share_a_line() {
    let policy = Policy {
        share: Some(Arc::new(ByTags {
            keys: vec!["user".to_owned()],
            ..ByTags::default()
        })),
        urgent: Some(9),
        ..Policy::default()
    };
    let config = Config {
        policy,
        ..Config::default()
    };
    let count = 2_100_u32;
    let graph: Vec<_> = (1..=count).map(any).collect();
    let mut world = taught(config, &graph);
    let spec = |number: u32| BuildSpec {
        tags: tags(&[("user", &format!("u{number}"))]),
        priority: i32::try_from(number % 7).unwrap(),
        ..spec(number.into(), &format!("any-{number}"))
    };
    world.submit_all((1..=count).map(spec).collect());
    world.take(1, 4);
    let ids: Vec<_> = (1..=count).map(|number| build_id(number.into())).collect();
    let etas = world.core.etas(&ids[..100]);
    let told = |eta: &Eta| matches!(eta, Eta::In { .. });
    assert!(etas.iter().all(told), "{etas:?}");
    // All are to end in about nine hours.
    assert!(minutes(&world, u128::from(count)) < 600.0);
    for id in ids {
        world.ask(|ticket| Input::Cancel {
            ticket,
            builds: vec![id],
        });
    }
    world.check();
}
