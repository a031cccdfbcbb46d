//! What builds will take, learned from those that were.

use grange_coordinator_core::{
    Assignment, Capacity, Config, Denied, DeniedWhy, Input, Reply, Report, Source, TimerReason,
};
use grange_model::{
    FailureKind, HistoryRecord, Key, MEMORY, Quantiles, Record, Spread, Timestamp, Usage,
};

use crate::world::World;
use crate::world::names::{build_id, capacity, drv, spec};

const MINUTE: u64 = 60_000;
const SYSTEM: &str = "x86_64-linux";
const GIB: u64 = 1 << 30;

fn usage(build_ms: u64, peak_memory: u64) -> Usage {
    Usage {
        build_ms: Some(build_ms),
        peak_memory: Some(peak_memory),
    }
}

fn having(parallel: u32, memory: u64) -> Capacity {
    Capacity {
        resources: [(MEMORY.to_owned(), memory)].into(),
        ..capacity(parallel)
    }
}

/// A world in which these versions of `foo` were built, each with this peak.
fn built(peaks: &[u64]) -> World {
    let versions: Vec<_> = (0..20).map(|at| format!("foo-1.{at}")).collect();
    let drvs: Vec<_> = versions.iter().map(|name| drv(name)).collect();
    let mut world = World::of(&drvs);
    for (number, (peak, name)) in (1..).zip(peaks.iter().zip(&versions)) {
        world.build(spec(number, name));
        let assigned = world.take_one(1);
        succeed(&mut world, &assigned, usage(90_000, *peak));
    }
    world
}

fn succeed(world: &mut World, assigned: &Assignment, usage: Usage) {
    let Report::Succeeded { outputs, log, .. } = world.success(assigned, 1) else {
        panic!("a success");
    };
    let report = Report::Succeeded {
        outputs,
        log,
        usage,
    };
    assert_eq!(world.report(1, assigned.attempt, report), Reply::Done);
}

fn record(package: &str, samples: u32) -> HistoryRecord {
    let quantiles = Quantiles {
        p50: 1_000,
        p90: 2_000,
    };
    HistoryRecord {
        package: package.to_owned(),
        system: SYSTEM.to_owned(),
        updated_at: Timestamp(5),
        duration: Spread::of(samples, quantiles, 2_000).unwrap(),
        memory: Spread::default(),
    }
}

fn import(world: &mut World, records: Vec<HistoryRecord>) -> Option<Reply> {
    world.ask(|ticket| Input::ImportHistory { ticket, records })
}

#[test]
fn who_knows_nothing_says_what_the_configuration_says() {
    let world = World::of(&[]);
    let prediction = world.core.predict("foo-1.0.drv", SYSTEM);
    assert_eq!(prediction.source, Source::Config);
    assert_eq!((prediction.samples, prediction.memory), (0, None));
    let (p50, p90) = (MINUTE, 10 * MINUTE);
    assert_eq!(prediction.duration, Quantiles { p50, p90 });
}

#[test]
fn a_prediction_goes_by_what_is_most_alike() {
    let world = built(&[GIB, GIB, GIB]);
    let same = world.core.predict("foo-2.0.drv", SYSTEM);
    let (p50, p90) = (90_000, 90_000);
    assert_eq!((same.source, same.samples), (Source::Package, 3));
    assert_eq!(same.duration, Quantiles { p50, p90 });
    assert_eq!(same.memory, Some(Quantiles { p50: GIB, p90: GIB }));
    let elsewhere = world.core.predict("foo-2.0.drv", "riscv64-linux");
    assert_eq!(
        (elsewhere.source, elsewhere.samples),
        (Source::OtherSystems, 3)
    );
    assert_eq!(elsewhere.memory, same.memory);
    let other = world.core.predict("bar-2.0.drv", SYSTEM);
    assert_eq!((other.source, other.memory), (Source::System, None));
    let neither = world.core.predict("bar-2.0.drv", "riscv64-linux");
    assert_eq!(neither.source, Source::All);
    assert_eq!(neither.duration, Quantiles { p50, p90 });
}

#[test]
fn durations_are_learned_as_if_all_agents_were_as_fast() {
    let mut world = World::of(&[drv("foo-1")]);
    world.build(spec(1, "foo-1"));
    let fast = Capacity {
        speed: 2_500,
        ..capacity(1)
    };
    let assigned = world.take_with(1, fast).remove(0);
    succeed(&mut world, &assigned, usage(4_000, GIB));
    let prediction = world.core.predict("foo-2", SYSTEM);
    assert_eq!(prediction.duration.p50, 10_000);
}

#[test]
fn predicted_memory_is_kept_free() {
    let mut world = built(&[3 * GIB; 3]);
    world.build(spec(901, "foo-1.10"));
    world.build(spec(902, "foo-1.11"));
    assert_eq!(world.take_with(2, having(8, 5 * GIB)).len(), 1);
    assert_eq!(world.take_with(3, having(8, 7 * GIB)).len(), 1);
}

#[test]
fn a_prediction_keeps_no_build_from_an_agent_that_is_empty() {
    let mut world = built(&[8 * GIB; 3]);
    world.build(spec(901, "foo-1.10"));
    world.build(spec(902, "foo-1.11"));
    assert_eq!(world.take_with(2, having(8, GIB)).len(), 1);
}

#[test]
fn two_builds_are_not_enough_to_predict_memory() {
    let mut world = built(&[8 * GIB; 2]);
    world.build(spec(901, "foo-1.10"));
    world.build(spec(902, "foo-1.11"));
    assert_eq!(world.take_with(2, having(8, GIB)).len(), 2);
}

#[test]
fn who_was_killed_needs_more_than_it_had() {
    let mut world = built(&[GIB; 3]);
    world.build(spec(901, "foo-1.10"));
    let assigned = world.take_with(1, having(1, 16 * GIB)).remove(0);
    let report = Report::Failed {
        kind: FailureKind::OutOfMemory,
        message: "killed".to_owned(),
        log: None,
        usage: usage(1, 4 * GIB),
    };
    assert_eq!(world.report(1, assigned.attempt, report), Reply::Done);
    let prediction = world.core.predict("foo-1.11.drv", SYSTEM);
    let memory = prediction.memory.unwrap();
    assert!(memory.p90 > GIB && memory.p90 <= 4 * GIB, "{memory:?}");
    assert_eq!(prediction.samples, 3);
}

#[test]
fn what_was_learned_is_written_a_minute_later_and_loaded() {
    let mut world = built(&[GIB; 3]);
    let key = Key::History {
        package: "foo".to_owned(),
        system: SYSTEM.to_owned(),
    };
    assert_eq!(world.history.get(&key), None);
    world.pass(2 * MINUTE);
    let Some(Record::History(record)) = world.history.get(&key) else {
        panic!("it is written");
    };
    assert_eq!(record.memory.samples, 3);
    let seq = world.history.seq;
    world.pass(20 * MINUTE);
    assert_eq!(world.history.seq, seq, "it is written once");
    let timeout = world.core.poll_timeout();
    assert!(
        !matches!(timeout, Some((_, TimerReason::History | TimerReason::Work))),
        "{timeout:?}"
    );
    let before = world.core.predict("foo-7", SYSTEM);
    world.restart();
    assert_eq!(world.core.predict("foo-7", SYSTEM), before);
}

#[test]
fn many_packages_are_written_by_and_by() {
    let names: Vec<_> = (0..1_100).map(|at| format!("p{at}x")).collect();
    let drvs: Vec<_> = names.iter().map(|name| drv(name)).collect();
    let mut world = World::of(&drvs);
    for (number, name) in (1..).zip(&names) {
        world.build(spec(number, name));
    }
    let assigned = world.take(1, 1_100);
    for assigned in &assigned {
        world.succeed(1, assigned);
    }
    world.now = Timestamp(world.now.0 + 2 * MINUTE);
    let written = |world: &World| {
        let keys = world.history.records.keys();
        keys.filter(|key| matches!(key, Key::History { .. }))
            .count()
    };
    let mut steps = vec![written(&world)];
    while !matches!(steps[..], [.., 1_100]) && steps.len() < 10 {
        world.core.handle_timeout(world.now);
        world.poll();
        world.write_commit();
        steps.push(written(&world));
    }
    // While the first commit is written, the core goes on.
    assert_eq!(steps, [0, 500, 1_100]);
}

#[test]
fn the_history_is_listed_in_order() {
    let mut world = World::of(&[]);
    let records = ["b", "a", "d", "c"].map(|package| record(package, 3));
    assert_eq!(import(&mut world, records.to_vec()), Some(Reply::Done));
    let listed = |after| {
        let records = world.core.history(after);
        records.map(|record| record.package).collect::<String>()
    };
    assert_eq!(listed(None), "abcd");
    assert_eq!(listed(Some(("b", SYSTEM))), "cd");
    assert_eq!(listed(Some(("b", "a"))), "bcd");
    assert_eq!(listed(Some(("d", SYSTEM))), "");
}

#[test]
fn what_is_imported_takes_the_place_of_what_is_known() {
    let mut world = World::of(&[]);
    for samples in [9, 4, 4] {
        let records = vec![record("foo", samples)];
        assert_eq!(import(&mut world, records), Some(Reply::Done));
        world.check();
    }
    let prediction = world.core.predict("foo", SYSTEM);
    assert_eq!((prediction.samples, prediction.duration.p50), (4, 1_000));
    world.restart();
    assert_eq!(world.core.predict("foo", SYSTEM), prediction);
}

#[test]
fn too_many_packages_are_refused() {
    let config = Config {
        max_packages: 2,
        ..Config::default()
    };
    let mut world = World::with(config);
    let three = || ["a", "b", "c"].map(|package| record(package, 1));
    let reply = import(&mut world, three().to_vec());
    let why = DeniedWhy::TooMuch;
    assert!(
        matches!(&reply, Some(Reply::Denied(Denied { why: said, .. })) if *said == why),
        "{reply:?}"
    );
    assert_eq!(world.core.history(None).count(), 0);
    for _ in 0..2 {
        let reply = import(&mut world, three()[..2].to_vec());
        assert_eq!(reply, Some(Reply::Done));
    }
}

#[test]
fn classes_that_are_scarce_are_left_to_what_is_asked_for() {
    let config = Config {
        max_classes: 2,
        ..Config::default()
    };
    let mut world = World::with(config);
    world.store(&[drv("foo-1"), drv("bar-1")]);
    let quantiles = Quantiles { p50: GIB, p90: GIB };
    let known = |package| HistoryRecord {
        memory: Spread::of(5, quantiles, GIB).unwrap(),
        ..record(package, 5)
    };
    import(&mut world, vec![known("foo"), known("bar")]);
    world.build(spec(1, "foo-1"));
    world.build(spec(2, "bar-1"));
    assert!(world.core.build(build_id(2)).is_some());
}
