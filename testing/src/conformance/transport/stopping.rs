//! The end of serving. Where nobody serves, there is nothing to stop.

use std::sync::Arc;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Fault, Peer, Refusal};

use super::script::{Script, Signal, append};
use crate::conformance::{Serving, TransportBench};

/// "Who serves stops when it is told to, and finishes what runs."
pub async fn stopping_finishes_what_runs(bench: &impl TransportBench) {
    let begun = Signal::new();
    let there = begun.clone();
    let link = bench.connect(Script::endpoint(move |_, _, body| {
        let there = there.clone();
        async move {
            let mut body = body.ok_or_else(|| Refusal::new(Fault::Caller, "no body"))?;
            let mut length = 0;
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|error| Refusal::new(Fault::Peer, error.to_string()))?;
                length += piece.len() as u64;
                there.give();
            }
            Ok((Answer::Offset(length), None))
        }
    }));
    let link = link.await;
    let Some(Serving { mut stopper, ended }) = link.serving else {
        return;
    };
    let (mut more, body) = mpsc::channel(0);
    let client = Arc::clone(&link.client);
    let upload = tokio::spawn(async move {
        let call = client.call(&Peer::Anonymous, append(0), Some(body.boxed()));
        call.await.map(|(answer, _)| answer)
    });
    let piece = || Ok(Bytes::from(vec![1; 1_000]));
    more.send(piece()).await.expect("the body is read");
    begun.wait().await;
    stopper.stop();
    more.send(piece()).await.expect("the body is still read");
    drop(more);
    let answer = upload.await.expect("a call does not panic");
    assert_eq!(answer, Ok(Answer::Offset(2_000)));
    ended.await;
}

/// Who waits for something to happen is answered or refused as busy; serving does not wait for it.
pub async fn stopping_waits_for_nobody_who_waits(bench: &impl TransportBench) {
    let begun = Signal::new();
    let there = begun.clone();
    let link = bench.connect(Script::endpoint(move |_, _, _| {
        there.give();
        std::future::pending()
    }));
    let link = link.await;
    let Some(Serving { mut stopper, ended }) = link.serving else {
        return;
    };
    let client = Arc::clone(&link.client);
    let wait = tokio::spawn(async move {
        let message = Message::Facts {
            after: None,
            wait_ms: 30_000,
            limit: 1,
        };
        let call = client.call(&Peer::Anonymous, message, None);
        call.await.map(|(answer, _)| answer)
    });
    begun.wait().await;
    stopper.stop();
    let answer = wait.await.expect("a call does not panic");
    assert_eq!(answer.map_err(|refusal| refusal.fault), Err(Fault::Busy));
    ended.await;
}

/// "[`Fault::Busy`] if the other side was not reached."
pub async fn after_the_end_calls_are_refused(bench: &impl TransportBench) {
    let link = bench.connect(Script::endpoint(|_, _, _| async {
        Ok((Answer::Done, None))
    }));
    let link = link.await;
    let Some(Serving { mut stopper, ended }) = link.serving else {
        return;
    };
    let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
    call.await.expect("it is answered");
    stopper.stop();
    ended.await;
    let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
    let refusal = call.await.map(|(answer, _)| answer);
    assert_eq!(refusal.map_err(|refusal| refusal.fault), Err(Fault::Busy));
}
