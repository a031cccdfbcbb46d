//! Questions.

use grange_interfaces::Peer;
use grange_interfaces::message::{Answer, BuildFilter, Message, PruneRequest, VERSIONS};
use grange_model::FactNumber;

use super::farm::{Farm, Made, derivation};
use crate::conformance::EndpointBench;

/// "First of all", and as often as anybody connects.
pub async fn a_hello_again_is_answered_again(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let hello = Message::Hello {
        versions: VERSIONS,
        software: "a conformance suite".to_owned(),
    };
    let [first, second] = farm.twice(&Peer::Anonymous, hello, None).await;
    assert!(matches!(first, Answer::Hello { .. }), "{first:?}");
    assert_eq!(first, second);
}

/// Who asks changes nothing: the same question has the same answer, and nothing has happened.
pub async fn asking_again_is_answered_again(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let made = derivation("one");
    let build = farm.submit(&made).await;
    let (agent, assigned) = farm.assigned().await;
    let output = Made::file(b"an output");
    farm.succeed(&agent, assigned.attempt, &output).await;
    let before = farm.facts().await;
    let path = made.output("out").map(ToString::to_string);
    let path = path.expect("it has an output");
    let questions = [
        Message::Counts,
        Message::Build { build },
        Message::Builds {
            filter: BuildFilter::default(),
            after: None,
            limit: 10,
        },
        Message::Facts {
            after: Some(FactNumber(0)),
            wait_ms: 0,
            limit: 10,
        },
        Message::Log {
            build,
            attempt: None,
            offset: 0,
            wait_ms: 0,
        },
        Message::Lacking {
            derivations: vec![made.path.to_string()],
            items: vec![path.clone()],
        },
        Message::Items {
            paths: vec![path.clone()],
            closure: true,
        },
        Message::FetchItem { path, offset: 0 },
        Message::Derivations {
            paths: vec![made.path.to_string()],
        },
        Message::Agents,
        Message::Held,
        Message::Prune(PruneRequest {
            max_bytes: Some(0),
            ..PruneRequest::default()
        }),
        Message::Sweep { delete: false },
        // Of builds that have ended time says nothing.
        Message::Etas {
            builds: vec![build],
        },
        Message::History {
            after: None,
            limit: 10,
        },
    ];
    for question in questions {
        let [first, second] = farm.twice(&Peer::Local, question, None).await;
        assert_eq!(first, second);
    }
    assert_eq!(farm.facts().await, before);
}
