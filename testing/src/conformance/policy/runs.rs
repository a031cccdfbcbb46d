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

/// "An agent that waits is never left without a build that it could take, as far as `lookahead` sees":
/// it has to see further than to the first, which an agent that could not set it up must not have.
pub async fn who_must_not_have_one_gets_another(bench: &impl PolicyBench) {
    let mut farm = Farm::new(bench.policy(), 2, 2);
    for number in 0..2 {
        farm.submit(spec(number, 0));
    }
    // Another could have the first one, once it has room: so that one stays where it is.
    farm.exchange(1, 0, 0);
    let ticket = farm.exchange(0, 1, 0);
    let first = farm.told(ticket).remove(0);
    farm.fail_to_set_up(0, first.attempt);
    let ticket = farm.exchange(0, 1, 0);
    let second = farm.told(ticket);
    assert_eq!(second.len(), 1, "{} builds are ready", farm.ready());
    assert_ne!(
        second[0].derivation, first.derivation,
        "it could not be set up"
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
