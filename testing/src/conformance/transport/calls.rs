//! What is said and answered.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Fault, Peer, Refusal, Secret, bytes_of};

use super::script::{Script, Seen, Signal, answer_has_body, append, fetch, has_body, item};
use crate::conformance::TransportBench;
use crate::conformance::artifacts::{body, noise};
use crate::sample;

/// "Message … arrives as it was said", of every kind.
pub async fn messages_of_all_kinds_arrive(bench: &impl TransportBench) {
    let seen = Seen::new();
    let there = seen.clone();
    let link = bench.connect(Script::endpoint(move |_, message, body| {
        there.put((message, body.is_some()));
        async { Ok((Answer::Done, None)) }
    }));
    let link = link.await;
    for message in sample::messages() {
        if matches!(message, Message::Hello { .. }) {
            continue;
        }
        let with = has_body(&message);
        let bytes = with.then(|| body(b"bytes", 2));
        let answered = link.client.call(&Peer::Anonymous, message.clone(), bytes);
        let (answer, rest) = answered.await.expect("it is answered");
        assert_eq!(
            (answer, rest.is_some()),
            (Answer::Done, false),
            "{message:?}"
        );
        assert_eq!(seen.take(), [(message, with)]);
    }
}

/// "Answer … arrives as it was given", of every kind.
pub async fn answers_of_all_kinds_arrive(bench: &impl TransportBench) {
    let next = Seen::new();
    let there = next.clone();
    let link = bench.connect(Script::endpoint(move |_, _, _| {
        let answer: Answer = there.take().remove(0);
        let bytes = answer_has_body(&answer).then(|| body(b"bytes", 2));
        async { Ok((answer, bytes)) }
    }));
    let link = link.await;
    for answer in sample::answers() {
        if matches!(answer, Answer::Hello { .. }) {
            continue;
        }
        next.put(answer.clone());
        let call = link.client.call(&Peer::Anonymous, fetch(0), None);
        let (found, rest) = call.await.expect("it is answered");
        assert_eq!(found, answer);
        assert_eq!(rest.is_some(), answer_has_body(&answer), "{answer:?}");
        if let Some(rest) = rest {
            assert_eq!(bytes_of(rest, 100).await.expect("it arrives"), "bytes");
        }
    }
}

/// "Who calls arrives as it was said, but for `Local`", which nobody says who comes from afar.
pub async fn who_calls_arrives(bench: &impl TransportBench) {
    let seen = Seen::new();
    let there = seen.clone();
    let link = bench.connect(Script::endpoint(move |peer, _, _| {
        there.put(peer);
        async { Ok((Answer::Done, None)) }
    }));
    let link = link.await;
    let local = if bench.is_local() {
        Peer::Local
    } else {
        Peer::Anonymous
    };
    let agent = |password: &str| Peer::Agent {
        id: sample::agent_id(7),
        password: Secret(password.into()),
    };
    for (said, arrives) in [
        (agent("pass:word"), agent("pass:word")),
        (agent(""), agent("")),
        (
            Peer::Token(Secret("a-token".into())),
            Peer::Token(Secret("a-token".into())),
        ),
        (Peer::Local, local),
    ] {
        let call = link.client.call(&said, Message::Counts, None);
        call.await.expect("it is answered");
        assert_eq!(seen.take(), [arrives], "{said:?}");
    }
}

/// "Refusal … arrives as it was given": its fault, its message, and when to ask again.
pub async fn refusals_arrive_whole(bench: &impl TransportBench) {
    let next = Seen::new();
    let there = next.clone();
    let link = bench.connect(Script::endpoint(move |_, _, _| {
        let refusal: Refusal = there.take().remove(0);
        async { Err(refusal) }
    }));
    let link = link.await;
    let odd = "»no«\n\"really\" \\ \0 ü";
    let mut all = sample::refusals();
    all.push(Refusal::new(Fault::Caller, odd));
    all.push(Refusal::busy("soon", Duration::from_millis(1)));
    all.push(Refusal::new(Fault::Us, ""));
    for refusal in all {
        next.put(refusal.clone());
        let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
        let found = call.await.map(|(answer, _)| answer);
        assert_eq!(found, Err(refusal));
    }
}

/// "Calls run at once, and are not mixed": what is answered first was not asked first.
pub async fn calls_at_once_are_not_mixed(bench: &impl TransportBench) {
    const CALLS: usize = 20;
    let signals: Arc<Vec<_>> = Arc::new((0..=CALLS).map(|_| Signal::new()).collect());
    let link = bench.connect(Script::endpoint(move |_, message, sent| {
        let signals = Arc::clone(&signals);
        async move {
            let Message::AppendLog { offset, .. } = message else {
                return Err(Refusal::new(Fault::Caller, "another message"));
            };
            let number = usize::try_from(offset).unwrap_or(CALLS);
            let sent = sent.ok_or_else(|| Refusal::new(Fault::Caller, "no body"))?;
            let sent = bytes_of(sent, 1 << 20).await;
            let sent = sent.map_err(|error| Refusal::new(Fault::Peer, error.to_string()))?;
            // The last one answers first, and lets the one before it go on.
            if number + 1 < CALLS {
                signals[number].wait().await;
            }
            if number > 0 {
                signals[number - 1].give();
            }
            Ok((item(offset), Some(body(&sent, 1_000))))
        }
    }));
    let link = link.await;
    let calls = (0..CALLS).map(|number| {
        let client = Arc::clone(&link.client);
        async move {
            let bytes = noise(30_000 + number)[number..].to_vec();
            let sent = Some(body(&bytes, 3_000 + number));
            let offset = number as u64;
            let (answer, back) = client.call(&Peer::Anonymous, append(offset), sent).await?;
            assert_eq!(answer, item(offset), "the answer of another call");
            let back = bytes_of(back.expect("a body was given"), 1 << 20).await;
            assert!(back.expect("it arrives") == bytes, "bytes of another call");
            Ok::<_, Refusal>(())
        }
    });
    try_join_all(calls).await.expect("all are answered");
}

/// "Calls run at once": who waits for an answer holds up nobody.
pub async fn a_call_that_waits_holds_up_no_other(bench: &impl TransportBench) {
    let begun = Signal::new();
    let there = begun.clone();
    let link = bench.connect(Script::endpoint(move |_, message, _| {
        let there = there.clone();
        async move {
            if matches!(message, Message::Facts { .. }) {
                there.give();
                std::future::pending::<()>().await;
            }
            Ok((Answer::Done, None))
        }
    }));
    let link = link.await;
    let waiting = Message::Facts {
        after: None,
        wait_ms: 30_000,
        limit: 1,
    };
    let waits: Vec<_> = (0..30)
        .map(|_| {
            let (client, waiting) = (Arc::clone(&link.client), waiting.clone());
            let call = async move { client.call(&Peer::Anonymous, waiting, None).await };
            tokio::spawn(call)
        })
        .collect();
    for _ in &waits {
        begun.wait().await;
    }
    for _ in 0..10 {
        let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
        call.await.expect("it is answered");
    }
    for wait in waits {
        assert!(!wait.is_finished(), "nobody has answered it");
        wait.abort();
    }
}
