//! Bodies that break off, and callers that give up.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::stream::{self, StreamExt};
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Body, Fault, Peer, Refusal, bytes_of};

use super::script::{OnDrop, Script, Signal, append, fetch, item, pieces};
use crate::conformance::TransportBench;

/// Reads a body to its end, and says how that went.
async fn read(body: Option<Body>, begun: Signal, ends: mpsc::UnboundedSender<io::Result<u64>>) {
    let mut length = 0;
    let mut body = body.unwrap_or_else(grange_interfaces::empty_body);
    let end = loop {
        match body.next().await {
            Some(Ok(piece)) => length += piece.len() as u64,
            Some(Err(error)) => break Err(error),
            None => break Ok(length),
        }
        begun.give();
    };
    // The case may have failed already.
    let _ = ends.unbounded_send(end);
}

/// "A body that breaks off is an error at the other end, and never looks complete."
pub async fn a_body_that_breaks_off_is_an_error(bench: &impl TransportBench) {
    let (begun, (ends, mut ended)) = (Signal::new(), mpsc::unbounded());
    let there = begun.clone();
    let link = bench.connect(Script::endpoint(move |_, message, body| {
        let (begun, ends) = (there.clone(), ends.clone());
        async move {
            if matches!(message, Message::AppendLog { .. }) {
                read(body, begun, ends).await;
            }
            Ok((Answer::Done, None))
        }
    }));
    let link = link.await;
    let broken = stream::once(async move {
        begun.wait().await;
        Err(io::Error::other("the disk is gone"))
    });
    let first = stream::iter([Ok(Bytes::from(vec![1; 5_000]))]);
    let body: Body = first.chain(broken).boxed();
    // Whoever sends it may be told so, or may be answered by who was told.
    let answered = link
        .client
        .call(&Peer::Anonymous, append(0), Some(body))
        .await;
    drop(answered);
    let end = ended.next().await.expect("the other end says how it ended");
    assert!(end.is_err(), "it looked complete after {end:?} bytes");
    let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
    call.await.expect("the next call is answered");
}

/// The same for the body of an answer.
pub async fn an_answers_body_that_breaks_off_is_an_error(bench: &impl TransportBench) {
    let link = bench.connect(Script::endpoint(|_, message, _| async move {
        if !matches!(message, Message::FetchItem { .. }) {
            return Ok((Answer::Done, None));
        }
        let broken = stream::iter([
            Ok(Bytes::from(vec![1; 5_000])),
            Err(io::Error::other("the disk is gone")),
        ]);
        Ok((item(10_000), Some(broken.boxed())))
    }));
    let link = link.await;
    // The end may overtake the beginning: then the call itself is refused.
    match link.client.call(&Peer::Anonymous, fetch(0), None).await {
        Err(refusal) => assert_eq!(refusal.fault, Fault::Busy),
        Ok((_, body)) => {
            let found = bytes_of(body.expect("a body was given"), 1 << 20).await;
            assert!(
                found.is_err(),
                "{} bytes looked complete",
                found.map_or(0, |it| it.len())
            );
        }
    }
    let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
    call.await.expect("the next call is answered");
}

/// "Dropping the future gives up waiting": the other end is told, and drops what it did.
pub async fn a_dropped_call_is_given_up(bench: &impl TransportBench) {
    let (begun, dropped) = (Signal::new(), Signal::new());
    let (beginning, dropping) = (begun.clone(), dropped.clone());
    let link = bench.connect(Script::endpoint(move |_, message, _| {
        let (begun, dropped) = (beginning.clone(), OnDrop(dropping.clone()));
        async move {
            if matches!(message, Message::Job { .. }) {
                begun.give();
                std::future::pending::<()>().await;
            }
            std::mem::forget(dropped);
            Ok((Answer::Done, None))
        }
    }));
    let link = link.await;
    let client = Arc::clone(&link.client);
    let call = tokio::spawn(async move {
        let attempt = crate::sample::attempt_id(1);
        client
            .call(&Peer::Anonymous, Message::Job { attempt }, None)
            .await
    });
    begun.wait().await;
    call.abort();
    dropped.wait().await;
    let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
    call.await.expect("the next call is answered");
}

/// What was sent of a call that was dropped does not look complete.
pub async fn a_body_of_a_call_that_was_dropped_breaks_off(bench: &impl TransportBench) {
    let (begun, dropped) = (Signal::new(), Signal::new());
    let (ends, mut ended) = mpsc::unbounded();
    let (beginning, dropping) = (begun.clone(), dropped.clone());
    let link = bench.connect(Script::endpoint(move |_, _, body| {
        let (begun, dropped, ends) = (beginning.clone(), OnDrop(dropping.clone()), ends.clone());
        async move {
            read(body, begun, ends).await;
            drop(dropped);
            Ok((Answer::Done, None))
        }
    }));
    let link = link.await;
    let client = Arc::clone(&link.client);
    let call = tokio::spawn(async move {
        let first = stream::iter([Ok(Bytes::from(vec![1; 5_000]))]);
        let body = first.chain(stream::pending()).boxed();
        client.call(&Peer::Anonymous, append(0), Some(body)).await
    });
    begun.wait().await;
    call.abort();
    // Either it reads an error, or it is dropped before it can.
    dropped.wait().await;
    if let Ok(end) = ended.try_recv() {
        assert!(end.is_err(), "it looked complete after {end:?} bytes");
    }
}

/// "The body of an answer may be dropped at any time": the other end is told.
pub async fn an_answers_body_may_be_dropped(bench: &impl TransportBench) {
    let dropped = Signal::new();
    let there = dropped.clone();
    let link = bench.connect(Script::endpoint(move |_, message, _| {
        let there = there.clone();
        async move {
            if !matches!(message, Message::FetchItem { .. }) {
                return Ok((Answer::Done, None));
            }
            let dropped = OnDrop(there);
            let body = pieces(u64::MAX, move || {
                let _held = &dropped;
            });
            Ok((item(u64::MAX), Some(body)))
        }
    }));
    let link = link.await;
    for read in 0..3 {
        let call = link.client.call(&Peer::Anonymous, fetch(0), None);
        let (_, body) = call.await.expect("it is answered");
        let mut body = body.expect("a body was given");
        for _ in 0..read {
            let piece = body.next().await.expect("it does not end");
            piece.expect("it arrives");
        }
        drop(body);
        dropped.wait().await;
        let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
        call.await.expect("the next call is answered");
    }
}

/// Who answers need not have read the body, not even one that never ends.
pub async fn an_answer_may_come_before_the_body_was_read(bench: &impl TransportBench) {
    let link = bench.connect(Script::endpoint(|_, message, _| async move {
        match message {
            Message::AppendLog { .. } => Err(Refusal::new(Fault::Conflict, "not that one")),
            _ => Ok((Answer::Done, None)),
        }
    }));
    let link = link.await;
    let endless = || Some(pieces(u64::MAX, || ()));
    let call = link.client.call(&Peer::Anonymous, append(0), endless());
    let refused = call.await.map(|(answer, _)| answer);
    assert_eq!(refused, Err(Refusal::new(Fault::Conflict, "not that one")));
    let call = link
        .client
        .call(&Peer::Anonymous, Message::PutDerivations, endless());
    let (answer, _) = call.await.expect("it is answered");
    assert_eq!(answer, Answer::Done);
    let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
    call.await.expect("the next call is answered");
}
