//! Outputs that the operator deletes.

use grange_coordinator_core::{DeniedWhy, Input, MAX_PRUNED, Reply};
use grange_model::{BuildState, Digest, Fact};

use crate::world::World;
use crate::world::names::{build_id, digest, drv, spec};

/// `b` needs `a`; both were built.
fn built() -> World {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("a")]);
    world.build(spec(1, "b"));
    assert_eq!(world.work_off(1).len(), 2);
    world
}

#[test]
fn what_is_pruned_is_built_again_when_somebody_needs_it() {
    let mut world = built();
    assert_eq!(world.build(spec(2, "b")), BuildState::Succeeded);
    assert_eq!(world.prune(&["b:out", "a:out"]), []);
    assert!(world.history.item(digest("a:out")).is_none());
    let gone = Fact::Pruned {
        output: digest("b:out"),
    };
    assert!(world.history.facts.iter().any(|fact| fact.fact == gone));
    // What was said of the builds stays, and nothing is taken for lost.
    assert_eq!(world.state(1), BuildState::Succeeded);
    assert_eq!(world.build(spec(3, "b")), BuildState::Blocked);
    assert!(world.implicit("a").is_some());
    assert_eq!(world.work_off(1).len(), 2);
    assert_eq!(world.state(3), BuildState::Succeeded);
}

#[test]
fn a_dependent_that_needs_it_makes_it_a_build_again() {
    let mut world = built();
    assert_eq!(world.prune(&["a:out"]), []);
    assert_eq!(world.build(spec(2, "c")), BuildState::Blocked);
    assert!(world.implicit("a").is_some());
    // What was built from it needs no build.
    assert_eq!(world.build(spec(3, "b")), BuildState::Succeeded);
}

#[test]
fn what_unfinished_builds_make_or_need_stays_and_so_does_what_came_with_it() {
    let mut world = built();
    assert_eq!(world.build(spec(2, "c")), BuildState::Ready);
    let all = ["b:out", "a:out"];
    assert_eq!(world.prune(&all), [digest("a:out")]);
    assert!(world.history.item(digest("b:out")).is_some());
    world.restart();
    assert_eq!(world.prune(&all), [digest("a:out")]);
    assert_eq!(world.cancel(2), Some(BuildState::Canceled));
    let mut again = spec(3, "b");
    again.again = true;
    world.build(again);
    assert_eq!(world.prune(&all), [digest("b:out"), digest("a:out")]);
    world.cancel(3);
    assert_eq!(world.prune(&all), []);
}

/// The answer to "is it available?" is read before it goes, and given after.
#[test]
fn a_submission_that_read_before_it_went_builds_it() {
    for durable in [false, true] {
        let mut world = built();
        let ticket = world.ticket();
        let builds = vec![spec(2, "b"), spec(3, "c")];
        world.input(Input::Submit { ticket, builds });
        let mut prune = None;
        for _ in 0..1_000 {
            world.core.handle_timeout(world.now);
            world.poll();
            if durable || prune.is_none() {
                world.write_commit();
            }
            let Some((lookup, keys)) = world.lookups.pop_front() else {
                if world.core.build(build_id(3)).is_some() {
                    break;
                }
                continue;
            };
            let records: Vec<_> = keys.iter().map(|key| world.history.get(key)).collect();
            let reads_items = |key: &grange_model::Key| matches!(key, grange_model::Key::Item(_));
            if prune.is_none() && keys.iter().any(reads_items) {
                assert!(records.iter().any(Option::is_some), "it is there");
                let ticket = world.ticket();
                let outputs = vec![digest("b:out"), digest("a:out")];
                world.input(Input::Prune { ticket, outputs });
                prune = Some(ticket);
                world.poll();
                if durable {
                    world.write_commit();
                }
            }
            world.input(Input::Found { lookup, records });
        }
        world.settle();
        let pruned = world.replies.remove(&prune.expect("it was read"));
        assert_eq!(pruned, Some(Reply::Pruned(Vec::new())));
        assert_eq!(world.state(2), BuildState::Blocked);
        assert_eq!(world.state(3), BuildState::Blocked);
        assert!(world.implicit("a").is_some());
        world.work_off(1);
        assert_eq!(world.state(2), BuildState::Succeeded);
    }
}

#[test]
fn what_went_and_came_again_is_available() {
    let mut world = built();
    let ticket = world.ticket();
    let outputs = vec![digest("a:out")];
    // Not committed before the next one comes.
    world.input(Input::Prune { ticket, outputs });
    world.upload("a:out");
    assert_eq!(world.build(spec(2, "c")), BuildState::Ready);
    assert!(world.implicit("a").is_none());
}

#[test]
fn too_many_at_once_are_refused() {
    let mut world = built();
    let outputs = vec![Digest([9; 20]); MAX_PRUNED + 1];
    match world.ask(|ticket| Input::Prune { ticket, outputs }) {
        Some(Reply::Denied(denied)) => assert_eq!(denied.why, DeniedWhy::Wrong),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_others_have_is_not_built_and_what_they_had_is() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a"), drv("c").needs("a")]);
    world.upstream("a:out");
    assert_eq!(world.build(spec(1, "a")), BuildState::Succeeded);
    assert_eq!(world.build(spec(2, "b")), BuildState::Ready);
    world.restart();
    assert_eq!(world.state(2), BuildState::Ready);
    world.gone_upstream("a:out");
    let gone = Fact::GoneUpstream {
        output: digest("a:out"),
    };
    assert!(world.history.facts.iter().any(|fact| fact.fact == gone));
    // Its agent will say what it misses.
    assert_eq!(world.state(2), BuildState::Ready);
    assert_eq!(world.build(spec(3, "c")), BuildState::Blocked);
    assert!(world.implicit("a").is_some());
    assert_eq!(world.state(2), BuildState::Blocked);
    world.restart();
    assert_eq!(world.work_off(1).len(), 3);
    assert_eq!(world.state(2), BuildState::Succeeded);
}

/// Counter-example: an attempt that needs it is under way, and so is one that makes it anew.
#[test]
fn what_goes_upstream_may_be_in_use() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.upstream("a:out");
    let mut again = spec(1, "a");
    again.again = true;
    world.build(again);
    world.build(spec(2, "b"));
    world.gone_upstream("a:out");
    assert_eq!(world.state(2), BuildState::Blocked);
    assert_eq!(world.work_off(1).len(), 2);
    assert_eq!(world.state(2), BuildState::Succeeded);
}

/// What an attempt brings goes before what others have, as one set.
#[test]
fn what_is_built_here_goes_before_what_is_upstream() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.upstream("a:out");
    let mut again = spec(1, "a");
    again.again = true;
    world.build(again);
    assert_eq!(world.work_off(1).len(), 1);
    assert_eq!(world.state(1), BuildState::Succeeded);
    assert!(world.history.item(digest("a:out")).is_some());
    assert_eq!(world.build(spec(2, "b")), BuildState::Ready);
    // Nobody minds any more that it goes there.
    world.gone_upstream("a:out");
    assert_eq!(world.build(spec(3, "a")), BuildState::Succeeded);
    world.upstream("a:out");
    assert_eq!(world.work_off(1).len(), 1);
    assert_eq!(world.state(2), BuildState::Succeeded);
}
