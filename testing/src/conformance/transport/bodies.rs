//! Bodies that go well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Fault, Peer, Refusal, bytes_of, empty_body};

use super::script::{PIECE, Script, append, fetch, item, pieces};
use crate::conformance::TransportBench;
use crate::conformance::artifacts::{body, noise};

/// How much may be on its way: buffers of both sides, and of what lies between them.
const ON_ITS_WAY: u64 = 24 << 20;
/// Pieces of a long body: several times of what may be on its way.
const LONG: u64 = 3 * ON_ITS_WAY / PIECE;

/// "Bodies arrive byte for byte", there and back.
pub async fn bodies_arrive_byte_for_byte(bench: &impl TransportBench) {
    let link = bench.connect(Script::endpoint(|_, _, sent| async {
        let sent = sent.ok_or_else(|| Refusal::new(Fault::Caller, "no body"))?;
        let bytes = bytes_of(sent, 64 << 20).await;
        let bytes = bytes.map_err(|error| Refusal::new(Fault::Peer, error.to_string()))?;
        Ok((item(bytes.len() as u64), Some(body(&bytes, 4_099))))
    }));
    let link = link.await;
    for (length, piece) in [
        (0, 1),
        (1, 1),
        (2, 1),
        (300, 1),
        (65_536, 65_536),
        (700_001, 9_973),
    ] {
        let bytes = noise(length);
        let call = link
            .client
            .call(&Peer::Anonymous, append(0), Some(body(&bytes, piece)));
        let (answer, back) = call.await.expect("it is answered");
        assert_eq!(answer, item(length as u64), "{length} bytes");
        let back = bytes_of(back.expect("a body was given"), 64 << 20).await;
        assert!(back.expect("it arrives") == bytes, "{length} other bytes");
    }
}

/// "A body where there is one": none is not an empty one where an answer has none.
pub async fn an_answer_without_a_body_has_none(bench: &impl TransportBench) {
    let link = bench.connect(Script::endpoint(|_, message, _| async move {
        match message {
            Message::FetchItem { .. } => Ok((item(0), Some(empty_body()))),
            _ => Ok((Answer::Done, None)),
        }
    }));
    let link = link.await;
    let call = link.client.call(&Peer::Anonymous, Message::Counts, None);
    let (answer, none) = call.await.expect("it is answered");
    assert!(answer == Answer::Done && none.is_none(), "{answer:?}");
    let call = link.client.call(&Peer::Anonymous, fetch(0), None);
    let (answer, empty) = call.await.expect("it is answered");
    assert_eq!(answer, item(0));
    let empty = bytes_of(empty.expect("a body was given"), 0).await;
    assert!(empty.expect("it arrives").is_empty());
}

/// "Bodies stream": who sends waits for who reads.
pub async fn bodies_wait_for_their_reader(bench: &impl TransportBench) {
    let (sent, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (given, highest) = (Arc::clone(&sent), Arc::clone(&most));
    let link = bench.connect(Script::endpoint(move |_, _, body| {
        let (given, highest) = (Arc::clone(&given), Arc::clone(&highest));
        async move {
            let mut body = body.ok_or_else(|| Refusal::new(Fault::Caller, "no body"))?;
            let mut taken = 0;
            while let Some(piece) = body.next().await {
                let piece = piece.map_err(|error| Refusal::new(Fault::Peer, error.to_string()))?;
                taken += piece.len() as u64;
                let ahead = given.load(Ordering::SeqCst).saturating_sub(taken);
                highest.fetch_max(ahead, Ordering::SeqCst);
                // Who sends may be as fast as it can.
                tokio::task::yield_now().await;
            }
            Ok((Answer::Offset(taken), None))
        }
    }));
    let link = link.await;
    let body = pieces(LONG, move || {
        sent.fetch_add(PIECE, Ordering::SeqCst);
    });
    let call = link.client.call(&Peer::Anonymous, append(0), Some(body));
    let (answer, _) = call.await.expect("it is answered");
    assert_eq!(answer, Answer::Offset(LONG * PIECE));
    let most = most.load(Ordering::SeqCst);
    assert!(most <= ON_ITS_WAY, "{most} bytes were on their way");
}

/// The same for the body of an answer.
pub async fn answers_bodies_wait_for_their_reader(bench: &impl TransportBench) {
    let given = Arc::new(AtomicU64::new(0));
    let there = Arc::clone(&given);
    let link = bench.connect(Script::endpoint(move |_, _, _| {
        let there = Arc::clone(&there);
        let body = pieces(LONG, move || {
            there.fetch_add(PIECE, Ordering::SeqCst);
        });
        async { Ok((item(LONG * PIECE), Some(body))) }
    }));
    let link = link.await;
    let call = link.client.call(&Peer::Anonymous, fetch(0), None);
    let (_, body) = call.await.expect("it is answered");
    let mut body = body.expect("a body was given");
    let (mut taken, mut most) = (0, 0);
    while let Some(piece) = body.next().await {
        taken += piece.expect("it arrives").len() as u64;
        most = most.max(given.load(Ordering::SeqCst).saturating_sub(taken));
        tokio::task::yield_now().await;
    }
    assert_eq!(taken, LONG * PIECE);
    assert!(most <= ON_ITS_WAY, "{most} bytes were on their way");
}
