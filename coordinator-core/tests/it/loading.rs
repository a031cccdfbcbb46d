//! A coordinator that starts where another one ended, wherever that was.

use grange_model::{BuildState, Record, decode, encode};

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
