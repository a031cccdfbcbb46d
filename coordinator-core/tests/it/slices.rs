//! No call takes long: what is much work is done in slices, between which others are heard.

use grange_coordinator_core::{Config, Input, TimerReason};
use grange_model::{BuildSpec, Key};

use crate::world::World;
use crate::world::names::{drv, spec};

/// A farm that does ten steps at a time, with `top`, which needs a hundred others.
fn farm() -> World {
    let mut world = World::with(Config {
        slice: 10,
        ..Config::default()
    });
    let leaves: Vec<_> = (0..100)
        .map(|number| drv(&format!("leaf{number}")))
        .collect();
    let top = leaves
        .iter()
        .fold(drv("top"), |top, leaf| top.needs(&leaf.0.item.name));
    world.store(&leaves);
    world.store(&[top]);
    world
}

/// How many slices are done before each question, the question, and at last how many until all is done.
fn slices(world: &mut World, builds: Vec<BuildSpec>) -> Vec<(usize, Vec<Key>)> {
    let ticket = world.ticket();
    world.input(Input::Submit { ticket, builds });
    let mut done = Vec::new();
    loop {
        let mut slices = 0;
        while let Some((_, TimerReason::Work)) = world.core.poll_timeout() {
            world.core.handle_timeout(world.now);
            slices += 1;
        }
        world.poll();
        world.write_commit();
        let asked = world.lookups.front().map(|(_, keys)| keys.clone());
        done.push((slices, asked.unwrap_or_default()));
        if !world.answer_lookup() {
            return done;
        }
    }
}

#[test]
fn a_hundred_priorities_do_not_change_at_once() {
    let mut world = farm();
    world.build(spec(1, "top"));
    let more = BuildSpec {
        priority: 7,
        ..spec(2, "top")
    };
    let done = slices(&mut world, vec![more]);
    let (last, _) = done.last().unwrap();
    assert!(*last >= 10, "{last}");
}

/// Of each that is looked at, two keys at most: what it is and whether it failed, or its only output.
#[test]
fn a_hundred_derivations_are_not_looked_at_at_once() {
    let mut world = farm();
    let leaves = (0..100).zip(1..);
    let builds = leaves.map(|(leaf, number)| spec(number, &format!("leaf{leaf}")));
    let done = slices(&mut world, builds.collect());
    let is_graph = |key: &&Key| !matches!(key, Key::Finished(_));
    let asked = done
        .iter()
        .map(|(_, keys)| keys.iter().filter(is_graph).count());
    let asked: Vec<_> = asked.collect();
    assert_eq!(asked.iter().sum::<usize>(), 300);
    assert!(asked.iter().all(|asked| *asked <= 20), "{asked:?}");
}
