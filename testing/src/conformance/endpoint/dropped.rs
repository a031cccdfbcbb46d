//! Callers that give up.

use std::pin::pin;
use std::task::Poll;

use futures::StreamExt;
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Peer, bytes_of};

use super::farm::{Farm, Made, accepted, derivation, request};
use crate::conformance::EndpointBench;

/// So often, a call is looked at before it is dropped, at most.
const POLLS: u32 = 12;

/// "Dropping the future gives up waiting, and says nothing about the effect": said again, there is one.
pub async fn a_dropped_call_may_be_made_again(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let made = derivation("one");
    farm.put(&made).await;
    for polls in 0..POLLS {
        let builds = vec![request(&made)];
        let submit = Message::Submit { builds };
        {
            let endpoint = farm.endpoint();
            let mut call = pin!(endpoint.call(&Peer::Local, submit.clone(), None));
            for _ in 0..polls {
                let ended = std::future::poll_fn(|context| {
                    Poll::Ready(call.as_mut().poll(context).is_ready())
                });
                if ended.await {
                    break;
                }
                // Whoever works for it has a turn.
                tokio::task::yield_now().await;
            }
        }
        accepted(&farm.ask(submit).await);
    }
    assert_eq!(farm.count("submitted").await, POLLS as usize);
}

/// "The body of an answer may be dropped at any time": who asks again has all of it.
pub async fn the_body_of_an_answer_may_be_dropped(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let made = derivation("one");
    farm.submit(&made).await;
    let (agent, assigned) = farm.assigned().await;
    let output = Made::file(&[7; 100_000]);
    farm.succeed(&agent, assigned.attempt, &output).await;
    let path = made.output("out").map(ToString::to_string);
    let path = path.expect("it has an output");
    for pieces in [0, 1, usize::MAX] {
        let fetch = Message::FetchItem {
            path: path.clone(),
            offset: 0,
        };
        let fetched = farm.endpoint().call(&Peer::Local, fetch, None).await;
        let (answer, body) = fetched.expect("it is answered");
        let Answer::Item(item) = answer else {
            panic!("{answer:?}");
        };
        let body = body.expect("it has a body").take(pieces).boxed();
        let bytes = bytes_of(body, 1 << 20).await.expect("it arrives");
        if pieces == usize::MAX {
            assert_eq!(bytes.len() as u64, item.file_size);
        }
    }
}
