//! A coordinator that starts where another one ended, wherever that was.

use grange_coordinator_core::{Config, Loading, Start};
use grange_model::{BuildRecord, BuildSpec, BuildState, Key, Record, decode, encode};

use crate::world::World;
use crate::world::names::{build_id, digest, drv, spec};

/// `mirror` makes what `tool` needs, and needs `tool`: it waits for itself, so nobody wants it. The
/// coordinator was ended before it had seen that.
#[test]
fn who_waits_for_itself_and_is_wanted_by_nobody_ends_after_the_start() {
    let mut world = World::of(&[
        drv("fetch").fixed("tar"),
        drv("tool").needs_output("fetch", "tar"),
        drv("mirror").fixed("tar").needs("tool"),
    ]);
    for (number, name) in (1..).zip(["fetch", "tool", "mirror"]) {
        world.build(spec(number, name));
    }
    for bytes in world.history.records.values_mut() {
        if let Ok(Record::Build(mut build)) = decode(bytes)
            && build.spec.derivation == digest("mirror")
        {
            build.implicit = true;
            *bytes = encode(&Record::Build(build)).unwrap();
        }
    }
    world.restart();
    world.settle();
    assert_eq!(world.state(3), BuildState::Canceled);
    assert_eq!(world.work_off(1), ["fetch", "tool"]);
    assert!(world.history.finished(build_id(2)).is_some());
}

/// `parts` makes `lib` as well, which was uploaded: whoever needs that neither waits for `parts` after a start, nor
/// ends with it.
#[test]
fn who_needs_a_part_that_is_there_does_not_wait_for_the_others_after_a_start() {
    let mut world = World::of(&[
        drv("parts").also("lib"),
        drv("user").needs_output("parts", "parts:lib"),
    ]);
    world.build(spec(1, "parts"));
    world.upload("parts:lib");
    world.build(spec(2, "user"));
    assert_eq!(world.state(2), BuildState::Ready);
    world.restart();
    world.settle();
    assert_eq!(world.state(2), BuildState::Ready);
    let assigned = world.take_one(1);
    assert_eq!(assigned.derivation.name, "parts");
    world.fail(1, &assigned);
    assert_eq!(world.state(2), BuildState::Ready);
}

/// Whatever else is unfinished would have ended if what it makes were there.
#[test]
fn only_parts_and_what_is_built_again_are_asked_for_at_the_start() {
    let mut world = World::of(&[drv("plain"), drv("parts").also("lib"), drv("again")]);
    world.build(spec(1, "plain"));
    world.build(spec(2, "parts"));
    world.build(BuildSpec {
        again: true,
        ..spec(3, "again")
    });
    let mut loading = Loading::new(Config::default(), Start::default());
    loading.extend(world.history.live());
    let mut asked = loading.questions();
    asked.sort();
    let outputs = ["again:out", "parts:lib", "parts:out"];
    assert_eq!(asked, outputs.map(digest));
}

/// `a` lies here, which the core does not know after a start, although an unfinished build needs it.
#[test]
fn what_lies_here_is_not_built_again_after_a_start() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("a")]);
    world.upload("a:out");
    assert_eq!(world.build(spec(1, "b")), BuildState::Ready);
    world.restart();
    assert_eq!(world.build(spec(2, "c")), BuildState::Ready);
    assert!(world.implicit("a").is_none());
    assert_eq!(world.build(spec(3, "a")), BuildState::Succeeded);
}

/// `tar` was uploaded; after a start others are found to have it, too. What is built again does not replace it.
#[test]
fn what_lies_here_stays_when_others_are_found_to_have_it() {
    let mut world = World::of(&[
        drv("fetch").fixed("tar"),
        drv("user").needs_output("fetch", "tar"),
    ]);
    world.upload("tar");
    world.build(spec(1, "user"));
    world.restart();
    world.upstream("tar");
    let before = world.history.item(digest("tar")).unwrap();
    world.build(BuildSpec {
        again: true,
        ..spec(2, "fetch")
    });
    let assigned = world.take(1, 2);
    let again = assigned.iter().find(|one| one.derivation.name == "fetch");
    let again = again.unwrap();
    let report = world.success(again, 9);
    world.report(1, again.attempt, report);
    assert!(!world.finished(2).outputs[0].canonical);
    assert_eq!(world.history.item(digest("tar")).unwrap(), before);
}

/// What a Datastore gives comes in any order; a derivation of which nothing is unfinished is not kept, nor what only that needs.
#[test]
fn records_come_in_any_order_and_only_what_is_unfinished_is_kept() {
    let mut world = World::of(&[
        drv("lib"),
        drv("parts").also("doc").needs("lib"),
        drv("tool").needs("parts"),
        drv("odd").needs("tool").needs("nothing"),
        drv("nothing"),
    ]);
    world.build(spec(1, "tool"));
    world.build(BuildSpec {
        priority: 3,
        ..spec(2, "lib")
    });
    world.take_one(1);
    let mut records: Vec<_> = world.history.live().collect();
    for name in ["odd", "nothing"] {
        records.extend(world.history.get(&Key::Derivation(digest(name))));
    }
    let load = |records: Vec<Record>| {
        let mut loading = Loading::new(Config::default(), Start::default());
        for record in records {
            loading.extend([record]);
        }
        let core = loading.finish(world.now, &[], &[]).unwrap();
        core.check_invariants().unwrap();
        assert!(!core.is_unfinished(digest("odd")));
        let all: Vec<_> = core.builds(None).collect();
        (all, core.counts())
    };
    let forwards = load(records.clone());
    records.reverse();
    assert_eq!(load(records), forwards);
    assert_eq!(forwards.0.len(), 4);
}

#[test]
fn records_that_disagree_are_refused() {
    let mut world = World::of(&[drv("a"), drv("b")]);
    world.build(spec(1, "a"));
    world.build(spec(2, "b"));
    let records: Vec<_> = world.history.live().collect();
    let refused = |change: &dyn Fn(&mut Vec<Record>)| {
        let mut records = records.clone();
        change(&mut records);
        let mut loading = Loading::new(Config::default(), Start::default());
        loading.extend(records);
        loading.finish(world.now, &[], &[]).unwrap_err()
    };
    let each = |change: fn(&mut BuildRecord)| {
        move |records: &mut Vec<Record>| {
            for record in records {
                if let Record::Build(build) = record {
                    change(build);
                }
            }
        }
    };
    let (one, two) = (build_id(1), build_id(2));
    assert_eq!(
        refused(&each(|build| build.slot = 7)),
        "there are two builds in row 7"
    );
    let same = refused(&each(|build| build.spec.id = build_id(1)));
    assert_eq!(same, format!("there are two builds {one}"));
    let gone = refused(&|records| {
        records.retain(|record| record.key() != Key::Derivation(digest("b")));
    });
    assert_eq!(
        gone,
        format!("build {two} is of a derivation that is not there")
    );
}
