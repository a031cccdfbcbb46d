//! A core in a shell builds what it is asked for.

use std::time::Duration;

use grange_coordinator_core::{AgentChange, Capacity, Config, Exchange, Input, Reply, Report};
use grange_model::{AgentId, AgentRecord, BuildSpec, Limits, SessionId, Tags, Timestamp};
use grange_replay::{Copies, Layers, ReplayError, Rush, Shell};
use uuid::Uuid;

const LAYERS: Layers = Layers {
    nodes: 60,
    width: 10,
    degree: 3,
    seed: 1,
};

fn shell() -> Shell {
    let copies = Copies::new(LAYERS.draw(), 2);
    Shell::new(copies, Config::default(), || Duration::ZERO)
}

fn agent(shell: &mut Shell) -> AgentId {
    let id = AgentId(Uuid::from_u128(7));
    let ticket = shell.ticket();
    let record = AgentRecord {
        id,
        name: "agent".to_owned(),
        tags: Tags::new(),
        passwords: Vec::new(),
        paused: false,
        created_at: Timestamp(0),
    };
    let change = AgentChange::New(record);
    shell.hand_in(Input::Agent {
        ticket,
        agent: id,
        change,
    });
    shell.settle();
    id
}

fn exchange(agent: AgentId, revision: u64) -> Exchange {
    Exchange {
        agent,
        session: SessionId(Uuid::from_u128(1)),
        revision,
        capacity: Capacity {
            systems: vec!["x86_64-linux".to_owned()],
            parallel: 7,
            ..Capacity::default()
        },
        health: grange_coordinator_core::Health::default(),
        attempts: Vec::new(),
        wait_ms: 0,
    }
}

#[test]
fn both_copies_are_built_to_the_last() {
    let mut shell = shell();
    let agent = agent(&mut shell);
    let tops = shell.copies().graph().tops();
    let wanted = (0..2).flat_map(|copy| tops.iter().map(move |node| (copy, *node)));
    let builds = wanted.map(|(copy, node)| BuildSpec {
        id: Copies::build(copy, node),
        derivation: Copies::digest(copy, node),
        priority: 0,
        tags: Tags::new(),
        requires: Tags::new(),
        limits: Limits {
            timeout_ms: 1_000,
            max_silent_ms: 1_000,
        },
        again: false,
        inputs: true,
        cause: None,
        resources: grange_model::Resources::new(),
    });
    let builds: Vec<_> = builds.collect();
    let ticket = shell.ticket();
    shell.hand_in(Input::Submit { ticket, builds });
    let replies = shell.settle();
    assert!(
        matches!(&replies[..], [(_, Reply::Submitted(results))] if results.iter().all(Result::is_ok))
    );
    let counts = shell.core().counts();
    let all = counts.blocked + counts.ready;
    assert!(all > 100, "{counts:?}");

    let mut built = 0;
    for revision in 1.. {
        let ticket = shell.ticket();
        shell.hand_in(Input::Exchange {
            ticket,
            exchange: exchange(agent, revision),
        });
        let replies = shell.settle();
        let [(_, Reply::Exchange(answer))] = &replies[..] else {
            panic!("{replies:?}");
        };
        if answer.assign.is_empty() {
            break;
        }
        for assigned in answer.assign.clone() {
            let outputs = shell.built(assigned.derivation.digest);
            let ticket = shell.ticket();
            shell.hand_in(Input::Report {
                ticket,
                agent,
                attempt: assigned.attempt,
                report: Report::Succeeded {
                    outputs,
                    log: None,
                    usage: grange_model::Usage::default(),
                },
            });
            built += 1;
        }
        let replies = shell.settle();
        assert!(replies.iter().all(|(_, reply)| *reply == Reply::Done));
        shell.pass(Duration::from_millis(10));
    }
    assert_eq!(built, all);
    assert_eq!(shell.core().counts().ready, 0);
    assert!(shell.spent().commits > 0);
}

#[test]
fn a_rush_leaves_nothing_behind() {
    let copies = Copies::new(LAYERS.draw(), 2);
    let clock = || Duration::ZERO;
    let mut rush = Rush::new(copies, Config::default(), clock, 3, 2);
    rush.store();
    rush.submit().unwrap();
    let counts = rush.shell().core().counts();
    assert_eq!(counts.blocked + counts.ready, 120);
    rush.drain().unwrap();
    assert!(rush.is_done());
}

#[test]
fn a_rush_that_nobody_can_build_says_so() {
    let copies = Copies::new(LAYERS.draw().on(&["strange"]), 1);
    let mut rush = Rush::new(copies, Config::default(), || Duration::ZERO, 3, 2);
    rush.submit().unwrap();
    let stuck = ReplayError::Stuck { unfinished: 60 };
    assert_eq!(rush.drain(), Err(stuck));
}

/// What is compared at two sizes must differ in nothing else.
#[test]
fn graphs_of_ten_layers_have_the_same_mean_degree() {
    let degree = |nodes: u32| {
        let graph = Layers::ten(nodes).draw();
        graph.uses() as f64 / f64::from(nodes)
    };
    let (few, many) = (degree(10_000), degree(50_000));
    assert!((many / few - 1.0).abs() < 0.015, "{few} and {many}");
}
