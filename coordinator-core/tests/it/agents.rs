//! Sessions, leases, revival and races.

use grange_coordinator_core::{
    AgentChange, AttemptPhase, Denied, DeniedWhy, Exchange, Input, Reply, Report, Why,
};
use grange_model::{AttemptOutcome, BuildState};

use crate::world::names::{agent_id, build_id, capacity, drv, session_id, spec};
use crate::world::{World, failure};

const LEASE: u64 = 60_000;

fn exchange(session: u128, revision: u64) -> Exchange {
    Exchange {
        agent: agent_id(1),
        session: session_id(session),
        revision,
        capacity: capacity(1),
        health: grange_coordinator_core::Health::default(),
        attempts: Vec::new(),
        wait_ms: 0,
    }
}

fn denied(world: &mut World, exchange: Exchange) -> DeniedWhy {
    let ticket = world.send(exchange);
    match world.replies.remove(&ticket) {
        Some(Reply::Denied(Denied { why, .. })) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_reply_is_repeated() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    let second = world.take_one(1);
    assert_eq!(first, second);
}

#[test]
fn a_waiting_agent_gets_what_becomes_ready() {
    let mut world = World::of(&[drv("a"), drv("b").needs("a")]);
    world.add_agent(1);
    let ticket = world.exchange(1, capacity(1), &[], 20_000);
    assert_eq!(world.told(ticket), None);
    world.build(spec(1, "b"));
    let assigned = world.told(ticket).unwrap().assign;
    assert_eq!(assigned[0].derivation.name, "a");
    // It waits again while it reports, and has room by its own report.
    let held = [assigned[0].attempt];
    let ticket = world.exchange(1, capacity(1), &held, 20_000);
    world.succeed(1, &assigned[0]);
    assert_eq!(world.told(ticket).unwrap().assign[0].derivation.name, "b");
}

#[test]
fn an_exchange_is_answered_after_its_wait() {
    let mut world = World::new();
    world.add_agent(1);
    let ticket = world.exchange(1, capacity(1), &[], 10_000);
    world.pass(9_999);
    assert_eq!(world.told(ticket), None);
    world.pass(1);
    let reply = world.told(ticket).unwrap();
    assert_eq!((reply.assign.len(), reply.lease_ms), (0, LEASE));
    assert!(world.agent_present(1));
    world.pass(LEASE);
    assert!(!world.agent_present(1));
}

#[test]
fn an_overtaken_exchange_is_answered() {
    let mut world = World::of(&[drv("a")]);
    world.add_agent(1);
    let first = world.exchange(1, capacity(1), &[], 10_000);
    let second = world.exchange(1, capacity(1), &[], 10_000);
    assert_eq!(world.told(first).unwrap().assign, []);
    world.build(spec(1, "a"));
    assert_eq!(world.told(second).unwrap().assign.len(), 1);
}

#[test]
fn a_forgotten_exchange_gets_nothing() {
    let mut world = World::of(&[drv("a")]);
    world.add_agent(1);
    let ticket = world.exchange(1, capacity(1), &[], 10_000);
    world.input(Input::Forget { ticket });
    world.build(spec(1, "a"));
    assert_eq!(world.state(1), BuildState::Ready);
    world.pass(10_000);
    assert_eq!(world.told(ticket), None);
}

#[test]
fn agents_are_listed_by_their_ids() {
    let mut world = World::new();
    for number in [3, 1, 2] {
        world.add_agent(number);
    }
    let listed: Vec<_> = world.core.agents().map(|agent| agent.record.id).collect();
    assert_eq!(listed, [1, 2, 3].map(agent_id));
}

#[test]
fn an_earlier_session_is_refused() {
    let mut world = World::new();
    world.add_agent(1);
    world.send(exchange(7, 1));
    assert_eq!(denied(&mut world, exchange(6, 9)), DeniedWhy::Conflict);
    world.send(exchange(7, 3));
    assert_eq!(denied(&mut world, exchange(7, 2)), DeniedWhy::Conflict);
    let waiting = Exchange {
        wait_ms: 10_000,
        ..exchange(7, 4)
    };
    let ticket = world.send(waiting);
    world.send(exchange(8, 1));
    let reply = world.replies.remove(&ticket);
    assert!(matches!(reply, Some(Reply::Denied(_))), "{reply:?}");
    let stranger = Exchange {
        agent: agent_id(2),
        ..exchange(1, 1)
    };
    assert_eq!(denied(&mut world, stranger), DeniedWhy::NotFound);
}

#[test]
fn reports_of_others_and_late_ones_are_refused() {
    let mut world = World::of(&[drv("a"), drv("b")]);
    world.build(spec(1, "a"));
    let assignment = world.take_one(1);
    world.add_agent(2);
    let why = |reply| match reply {
        Reply::Denied(denied) => denied.why,
        other => panic!("{other:?}"),
    };
    let reply = world.report(2, assignment.attempt, failure());
    assert_eq!(why(reply), DeniedWhy::NotFound);
    let wrong = Report::Succeeded {
        outputs: Vec::new(),
        log: None,
        usage: grange_model::Usage::default(),
    };
    let reply = world.report(1, assignment.attempt, wrong);
    assert_eq!(why(reply), DeniedWhy::Wrong);
    world.succeed(1, &assignment);
    let reply = world.report(1, assignment.attempt, failure());
    assert_eq!(why(reply), DeniedWhy::Conflict);
    // Its row is used for another attempt, and the old name still means nothing.
    world.build(spec(2, "b"));
    let next = world.take_one(1);
    assert_eq!(next.attempt.slot, assignment.attempt.slot);
    let reply = world.report(1, assignment.attempt, failure());
    assert_eq!(why(reply), DeniedWhy::Conflict);
    assert_eq!(world.state(2), BuildState::Running);
}

#[test]
fn what_an_absent_agent_holds_goes_to_others() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    world.pass(LEASE);
    assert_eq!(world.state(1), BuildState::Ready);
    let second = world.take_one(2);
    world.succeed(2, &second);
    let outcomes: Vec<_> = world
        .finished(1)
        .attempts
        .into_iter()
        .map(|one| one.outcome)
        .collect();
    assert_eq!(outcomes, [AttemptOutcome::Lost, AttemptOutcome::Succeeded]);
    let reply = world.report(1, first.attempt, failure());
    assert!(matches!(reply, Reply::Denied(_)));
    let ticket = world.exchange(1, capacity(1), &[first.attempt], 0);
    assert_eq!(world.told(ticket).unwrap().drop, vec![first.attempt]);
}

#[test]
fn an_agent_that_comes_back_goes_on() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    world.pass(LEASE);
    assert!(world.status(1).attempts[0].expired);
    let ticket = world.exchange(1, capacity(1), &[first.attempt], 0);
    assert_eq!(world.told(ticket).unwrap().drop, vec![]);
    assert_eq!(world.state(1), BuildState::Running);
    assert_eq!(world.status(1).attempts[0].phase, AttemptPhase::Building);
    assert_eq!(world.take(2, 1), []);
    world.succeed(1, &first);
}

#[test]
fn an_absent_agent_may_still_report() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    world.pass(LEASE);
    world.succeed(1, &first);
    assert_eq!(world.state(1), BuildState::Succeeded);
}

#[test]
fn a_revived_attempt_and_its_successor_race() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    world.pass(LEASE);
    let second = world.take_one(2);
    let ticket = world.exchange(1, capacity(1), &[first.attempt], 0);
    assert_eq!(world.told(ticket).unwrap().drop, vec![]);
    assert_eq!(world.status(1).attempts.len(), 2);
    world.succeed(1, &first);
    let report = world.success(&second, 2);
    let reply = world.report(2, second.attempt, report);
    assert!(matches!(
        reply,
        Reply::Denied(Denied {
            why: DeniedWhy::Conflict,
            ..
        })
    ));
    let item = world
        .history
        .item(drv("a").0.outputs[0].item.digest)
        .unwrap();
    assert_eq!(item.nar_hash.0, [1; 32]);
}

#[test]
fn leases_begin_anew_when_the_coordinator_starts() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    world.pass(LEASE - 1);
    world.restart();
    world.pass(LEASE - 1);
    assert_eq!(world.state(1), BuildState::Running);
    assert_eq!(world.take(2, 1), []);
    world.succeed(1, &first);
    assert_eq!(world.state(1), BuildState::Succeeded);
}

#[test]
fn what_a_deleted_agent_holds_goes_to_others() {
    let mut world = World::of(&[drv("a")]);
    world.build(spec(1, "a"));
    let first = world.take_one(1);
    let ticket = world.exchange(1, capacity(1), &[first.attempt], 10_000);
    assert_eq!(world.change_agent(1, AgentChange::Delete), Reply::Done);
    assert!(matches!(world.replies[&ticket], Reply::Denied(_)));
    assert_eq!(world.state(1), BuildState::Ready);
    let second = world.take_one(2);
    assert_eq!(second.builds, vec![build_id(1)]);
    assert_eq!(world.change_agent(1, AgentChange::Delete), Reply::Done);
}

#[test]
fn a_paused_agent_gets_nothing_new() {
    let mut world = World::of(&[drv("a")]);
    world.add_agent(1);
    world.change_agent(1, AgentChange::Pause(true));
    world.build(spec(1, "a"));
    let ticket = world.exchange(1, capacity(1), &[], 20_000);
    assert_eq!(world.told(ticket), None);
    let Why::Queued(why) = world.core.why(build_id(1)) else {
        panic!("it is ready");
    };
    assert_eq!((why.fitting, why.paused, why.full), (1, 1, 0));
    world.change_agent(1, AgentChange::Pause(false));
    assert_eq!(world.told(ticket).unwrap().assign.len(), 1);
}

#[test]
fn agents_are_kept() {
    let mut world = World::new();
    world.add_agent(1);
    world.add_agent(1);
    let hash = grange_model::PasswordHash([7; 32]);
    world.change_agent(1, AgentChange::AddPassword(hash));
    world.restart();
    let agent = world.core.agent(agent_id(1)).unwrap();
    assert_eq!((agent.record.passwords.len(), agent.present), (1, false));
    for _ in 0..16 {
        world.change_agent(1, AgentChange::AddPassword(hash));
    }
    let reply = world.change_agent(1, AgentChange::AddPassword(hash));
    assert!(matches!(
        reply,
        Reply::Denied(Denied {
            why: DeniedWhy::TooMuch,
            ..
        })
    ));
    world.change_agent(1, AgentChange::RevokePasswords);
    assert!(
        world
            .core
            .agents()
            .all(|agent| agent.record.passwords.is_empty())
    );
    let reply = world.change_agent(2, AgentChange::Pause(true));
    assert!(matches!(
        reply,
        Reply::Denied(Denied {
            why: DeniedWhy::NotFound,
            ..
        })
    ));
}
