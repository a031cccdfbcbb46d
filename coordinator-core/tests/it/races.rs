//! What happens between a question to the history and its answer.

use grange_coordinator_core::{Config, Input, Reply};
use grange_model::{BuildSpec, BuildState, Key};

use crate::world::World;
use crate::world::failure;
use crate::world::names::{agent_id, build_id, digest, drv, spec};

/// The answer to the first question about items is read, and given only after what `meanwhile` does is written.
fn with_a_late_answer(
    world: &mut World,
    builds: Vec<BuildSpec>,
    meanwhile: impl FnOnce(&mut World),
) {
    with_a_late_answer_to(|key| matches!(key, Key::Item(_)), world, builds, meanwhile);
}

fn with_a_late_answer_to(
    is_about: impl Fn(&Key) -> bool,
    world: &mut World,
    builds: Vec<BuildSpec>,
    meanwhile: impl FnOnce(&mut World),
) {
    let ticket = world.ticket();
    world.input(Input::Submit { ticket, builds });
    let mut meanwhile = Some(meanwhile);
    for _ in 0..1_000 {
        world.core.handle_timeout(world.now);
        world.poll();
        world.write_commit();
        if let Some((lookup, keys)) = world.lookups.pop_front() {
            let records: Vec<_> = keys.iter().map(|key| world.history.get(key)).collect();
            if keys.iter().any(&is_about)
                && let Some(meanwhile) = meanwhile.take()
            {
                meanwhile(world);
            }
            world.input(Input::Found { lookup, records });
        }
        if let Some(Reply::Submitted(results)) = world.replies.remove(&ticket) {
            assert!(meanwhile.is_none(), "nothing was read");
            assert!(results.iter().all(Result::is_ok), "{results:?}");
            world.settle();
            return;
        }
    }
    panic!("no answer");
}

/// Does an input without answering anybody else's questions.
fn do_only(world: &mut World, input: impl FnOnce(grange_coordinator_core::Ticket) -> Input) {
    let lookups = std::mem::take(&mut world.lookups);
    let ticket = world.ticket();
    world.input(input(ticket));
    for _ in 0..100 {
        world.core.handle_timeout(world.now);
        world.poll();
        world.write_commit();
    }
    world.lookups.extend(lookups);
    assert!(world.replies.remove(&ticket).is_some());
}

fn finish(world: &mut World, number: u128, fails: bool) {
    let status = world.status(number);
    let attempt = status.attempts[0].record.id;
    let derivation = world
        .history
        .derivation(status.record.spec.derivation)
        .unwrap();
    let item = &derivation.item;
    let outputs = derivation.outputs.iter();
    let outputs = outputs.map(|output| crate::world::names::item_record(&output.item, item, 1));
    let report = grange_coordinator_core::Report::Succeeded {
        outputs: outputs.collect(),
        log: None,
        usage: grange_model::Usage::default(),
    };
    let report = if fails { failure() } else { report };
    do_only(world, |ticket| Input::Report {
        ticket,
        agent: agent_id(1),
        attempt,
        report,
    });
}

fn running() -> World {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("z")]);
    world.build(spec(1, "a"));
    world.take_one(1);
    world
}

#[test]
fn an_input_that_comes_meanwhile_is_not_built_again() {
    let mut world = running();
    with_a_late_answer(&mut world, vec![spec(2, "b")], |world| {
        finish(world, 1, false)
    });
    assert!(world.implicit("a").is_none());
    assert_eq!(world.state(2), BuildState::Ready);
}

#[test]
fn the_same_derivation_that_comes_meanwhile_is_not_built_again() {
    let mut world = running();
    let builds = vec![spec(2, "z"), spec(3, "a")];
    with_a_late_answer(&mut world, builds, |world| finish(world, 1, false));
    assert_eq!(world.state(3), BuildState::Succeeded);
}

#[test]
fn an_input_that_fails_meanwhile_is_a_cause() {
    let mut world = running();
    with_a_late_answer(&mut world, vec![spec(2, "b")], |world| {
        finish(world, 1, true)
    });
    assert_eq!(world.state(2), BuildState::FailedDependency);
    assert_eq!(world.finished(2).causes[0].root, build_id(1));
}

#[test]
fn the_same_derivation_that_fails_meanwhile_is_not_tried_again() {
    let mut world = World::of(&[drv("a")]);
    // Its attempt is not shared, so that what is known of the derivation is read.
    world.build(BuildSpec {
        again: true,
        ..spec(1, "a")
    });
    world.take_one(1);
    let about_failures = |key: &Key| matches!(key, Key::Failure(_));
    with_a_late_answer_to(about_failures, &mut world, vec![spec(2, "a")], |world| {
        finish(world, 1, true)
    });
    assert_eq!(world.state(2), BuildState::Failed);
}

#[test]
fn an_input_that_nobody_wants_meanwhile_is_made_again() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("a")]);
    world.build(spec(1, "b"));
    with_a_late_answer(&mut world, vec![spec(2, "c")], |world| {
        let builds = vec![build_id(1)];
        do_only(world, |ticket| Input::Cancel { ticket, builds });
    });
    assert!(world.implicit("a").is_some());
    assert_eq!(world.state(2), BuildState::Blocked);
}

#[test]
fn an_answer_that_comes_twice_does_no_harm() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    let ticket = world.ticket();
    let builds = vec![spec(1, "b")];
    world.input(Input::Submit { ticket, builds });
    for _ in 0..20 {
        world.poll();
        world.write_commit();
        if let Some((lookup, keys)) = world.lookups.pop_front() {
            for _ in 0..2 {
                let records = keys.iter().map(|key| world.history.get(key)).collect();
                world.input(Input::Found { lookup, records });
            }
        }
        world.core.handle_timeout(world.now);
    }
    assert!(matches!(world.replies[&ticket], Reply::Submitted(_)));
    assert_eq!(world.state(1), BuildState::Blocked);
    assert_eq!(world.core.builds(None).count(), 2);
}

/// It did not lie here when others were found to have it.
#[test]
fn what_is_known_to_be_upstream_is_not_asked_for_again() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("a")]);
    world.build(spec(1, "b"));
    world.upstream("a:out");
    assert_eq!(world.state(1), BuildState::Ready);
    let ticket = world.ticket();
    let builds = vec![spec(2, "c")];
    world.input(Input::Submit { ticket, builds });
    let mut asked = Vec::new();
    while !world.replies.contains_key(&ticket) {
        world.core.handle_timeout(world.now);
        world.poll();
        world.write_commit();
        asked.extend(world.lookups.iter().flat_map(|(_, keys)| keys.clone()));
        world.answer_lookup();
    }
    assert!(asked.contains(&Key::Item(digest("c:out"))), "{asked:?}");
    assert!(!asked.contains(&Key::Item(digest("a:out"))), "{asked:?}");
}

#[test]
fn a_request_in_small_slices_is_the_same() {
    let mut graph = vec![drv("d0")];
    for number in 1..60 {
        let earlier = (number.max(4) - 4..number).map(|number| format!("d{number}"));
        let new = drv(&format!("d{number}"));
        graph.push(earlier.fold(new, |drv, earlier| drv.needs(&earlier)));
    }
    let run = |slice| {
        let mut world = World::with(Config {
            slice,
            ..Config::default()
        });
        world.store(&graph);
        world.build(spec(1, "d59"));
        world.work_off(1)
    };
    let names = run(4_000);
    assert_eq!(names.len(), 60);
    assert_eq!(names, run(1));
}
