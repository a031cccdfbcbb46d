//! What a policy makes of a farm.

use grange_model::{BuildSpec, Tags};

use super::farm::Farm;
use crate::conformance::PolicyBench;
use crate::sample;

/// A build of its own derivation; of some kind.
fn spec(number: u32, kind: u32) -> BuildSpec {
    let rush = Tags::from([("rush".to_owned(), "yes".to_owned())]);
    let long = Tags::from([("submitter".to_owned(), format!("{kind}"))]);
    BuildSpec {
        priority: 0,
        tags: [Tags::new(), rush, long][(kind % 3) as usize].clone(),
        requires: Tags::new(),
        again: false,
        inputs: true,
        cause: None,
        ..sample::build(number, number, number).spec
    }
}

/// "Builds of one key overtake each other never, and a build waits for as many as have lower keys": while
/// builds of other kinds and of the same priority keep coming, each is given before more than
/// [`overtakes`](PolicyBench::overtakes) of those that came later.
pub async fn nobody_starves(bench: &impl PolicyBench) {
    const FIRST: u32 = 12;
    let most = bench.overtakes();
    let limit = FIRST
        + u32::try_from(most)
            .unwrap_or(u32::MAX)
            .saturating_add(1)
            .min(5_000);
    for kind in 0..3 {
        let mut farm = Farm::new(bench.policy(), FIRST + limit + 2, 1);
        for number in 0..FIRST {
            farm.submit(spec(number, kind));
        }
        let mut left: Vec<u32> = (0..FIRST).collect();
        for later in 0..limit {
            if left.is_empty() {
                break;
            }
            // The newcomers are of the other kinds.
            farm.submit(spec(FIRST + later, kind + 1 + later % 2));
            let ticket = farm.exchange(0, 1, 0);
            let given = farm.told(ticket);
            assert_eq!(
                given.len(),
                1,
                "an agent got nothing while builds were ready"
            );
            let digest = given[0].derivation.digest;
            left.retain(|number| sample::digest(*number) != digest);
            farm.end(0, given[0].attempt);
        }
        assert!(
            left.is_empty(),
            "{left:?} wait while more than {most} later ones went before them"
        );
    }
}

/// "An agent that waits is never left without a build that it could take", whatever the policy says.
pub async fn who_waits_gets_what_there_is(bench: &impl PolicyBench) {
    const AGENTS: u32 = 5;
    let mut farm = Farm::new(bench.policy(), 40, AGENTS);
    let waiting: Vec<_> = (0..AGENTS)
        .map(|agent| farm.exchange(agent, 2, 60_000))
        .collect();
    for number in 0..10 {
        farm.submit(spec(number, number));
    }
    // Each agent's exchange is answered once; those that still have room ask again.
    let mut given: usize = waiting
        .into_iter()
        .map(|ticket| farm.told(ticket).len())
        .sum();
    assert!(
        given >= AGENTS as usize,
        "{given} builds for {AGENTS} agents that wait"
    );
    for agent in 0..AGENTS {
        let ticket = farm.exchange(agent, 20, 0);
        given = farm.told(ticket).len();
    }
    assert!(
        given > 0 && farm.ready() == 0,
        "{} builds are ready, and an agent has room",
        farm.ready()
    );
}

/// The same farm, with the policy made anew, is the same run.
pub async fn the_same_farm_is_the_same_run(bench: &impl PolicyBench) {
    let run = || {
        let mut farm = Farm::new(bench.policy(), 60, 3);
        let mut given = Vec::new();
        for number in 0..60 {
            let waiting: Vec<_> = (0..3)
                .map(|agent| farm.exchange(agent, 1 + agent, 60_000))
                .collect();
            farm.submit(spec(number, number * 7 % 5));
            for (agent, ticket) in (0..).zip(waiting) {
                for assignment in farm.told(ticket) {
                    given.push((agent, assignment.derivation.name.clone()));
                    farm.end(agent, assignment.attempt);
                }
            }
        }
        given
    };
    assert_eq!(run(), run());
}
