//! Bodies: long ones, broken ones, unwanted ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Body, Endpoint, Fault, Peer, Stop, bytes_of, empty_body};
use grange_transport_http::{ClientConfig, HttpEndpoint, serve_stream};

use crate::fake::{Fake, zeroes};
use crate::support::{BOTH, Running, ask, server_config};

const LONG: u64 = 200 << 20;

/// What may be on its way: buffers of both sides, and of the kernel between them.
const ON_ITS_WAY: u64 = 24 << 20;

fn append(offset: u64) -> Message {
    Message::AppendLog {
        attempt: "1.2.3".parse().unwrap(),
        offset,
    }
}

fn fetch(size: u64) -> Message {
    Message::FetchItem {
        path: format!("/gnu/store/x-{size}"),
        offset: 0,
    }
}

fn some_log() -> Message {
    let build = "11111111-2222-7333-8444-555555555555".parse().unwrap();
    Message::Log {
        build,
        attempt: None,
        offset: 0,
        wait_ms: 0,
    }
}

/// Sends and fetches `LONG` bytes, and never are more on their way than buffers have room for.
async fn streams_both_ways(client: &HttpEndpoint, fake: &Arc<Fake>) {
    let most = Arc::new(AtomicU64::new(0));
    let (sent, seen, taker) = (AtomicU64::new(0), Arc::clone(&most), Arc::clone(fake));
    let body = zeroes(LONG).inspect(move |chunk| {
        let sent = sent.fetch_add(chunk.as_ref().unwrap().len() as u64, Ordering::SeqCst);
        seen.fetch_max(
            sent.saturating_sub(taker.taken.load(Ordering::SeqCst)),
            Ordering::SeqCst,
        );
    });
    let (answer, _) = client
        .call(&Peer::Anonymous, append(0), Some(body.boxed()))
        .await
        .unwrap();
    assert_eq!(answer, Answer::Offset(LONG));
    let most = most.load(Ordering::SeqCst);
    assert!(most > 0 && most < ON_ITS_WAY, "{most}");

    let (_, body) = client
        .call(&Peer::Anonymous, fetch(LONG), None)
        .await
        .unwrap();
    let mut body = body.unwrap();
    let (mut received, mut most) = (0, 0);
    while let Some(chunk) = body.next().await {
        received += chunk.unwrap().len() as u64;
        most = most.max(fake.given.load(Ordering::SeqCst) - received);
    }
    assert_eq!(received, LONG);
    assert!(most > 0 && most < ON_ITS_WAY, "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_bodies_stream_both_ways() {
    for http in BOTH {
        let (server, fake) = Running::plain().await;
        streams_both_ways(&server.client(http), &fake).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_bodies_stream_over_a_pipe_in_memory() {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let fake = Fake::new();
    tokio::spawn(serve_stream(
        theirs,
        Arc::<Fake>::clone(&fake),
        server_config(|_| {}),
        Stop::never(),
    ));
    let client = HttpEndpoint::over_stream("pipe", ours, ClientConfig::default())
        .await
        .unwrap();
    streams_both_ways(&client, &fake).await;
}

#[tokio::test]
async fn empty_and_missing_bodies_are_empty_ones() {
    for http in BOTH {
        let (server, _) = Running::plain().await;
        let client = server.client(http);
        for body in [None, Some(empty_body())] {
            let (answer, _) = client
                .call(&Peer::Anonymous, append(0), body)
                .await
                .unwrap();
            assert_eq!(answer, Answer::Offset(0));
        }
        let (_, body) = client.call(&Peer::Anonymous, fetch(0), None).await.unwrap();
        assert!(bytes_of(body.unwrap(), 0).await.unwrap().is_empty());
        server.stop().await;
    }
}

#[tokio::test]
async fn a_message_without_a_body_cannot_be_given_one() {
    let (server, fake) = Running::plain().await;
    let client = server.client(BOTH[0]);
    let refusal = client
        .call(&Peer::Anonymous, Message::Counts, Some(zeroes(1)))
        .await
        .err()
        .unwrap();
    assert_eq!(refusal.fault, Fault::Caller);
    assert_eq!(fake.calls.load(Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_at_its_source_never_looks_complete() {
    for http in BOTH {
        let (server, fake) = Running::plain().await;
        let client = server.client(http);
        // Once all that came before has arrived: else nothing of it might be sent.
        let taker = Arc::clone(&fake);
        let broken = futures::stream::once(async move {
            while taker.taken.load(Ordering::SeqCst) < 100_000 {
                tokio::task::yield_now().await;
            }
            Err(std::io::Error::other("the disk is gone"))
        });
        let body: Body = zeroes(100_000).chain(broken).boxed();
        let refusal = client
            .call(&Peer::Anonymous, append(0), Some(body))
            .await
            .err()
            .unwrap();
        assert_eq!(refusal.fault, Fault::Operator);
        assert!(refusal.message.contains("the disk is gone"), "{refusal}");
        fake.broken.acquire().await.unwrap().forget();
        ask(&client, Message::Counts).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answers_body_that_breaks_off_never_looks_complete() {
    for http in BOTH {
        let (server, _) = Running::plain().await;
        let client = server.client(http);
        let message = Message::Derivations { paths: vec![] };
        match client.call(&Peer::Anonymous, message, None).await {
            // The end of an HTTP/2 stream can overtake its beginning.
            Err(refusal) => assert_eq!(refusal.fault, Fault::Busy),
            Ok((answer, body)) => {
                assert_eq!(answer, Answer::Derivations);
                let mut body = body.unwrap();
                let mut received = 0;
                let error = loop {
                    match body.next().await {
                        Some(Ok(chunk)) => received += chunk.len(),
                        Some(Err(error)) => break error,
                        None => panic!("{received} bytes looked complete"),
                    }
                };
                assert!(received <= 100_000, "{received}: {error}");
                assert!(body.next().await.is_none());
            }
        }
        ask(&client, Message::Counts).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answers_body_can_be_dropped() {
    for http in BOTH {
        let (server, fake) = Running::plain().await;
        let client = server.client(http);
        let (_, body) = client
            .call(&Peer::Anonymous, some_log(), None)
            .await
            .unwrap();
        let mut body = body.unwrap();
        body.next().await.unwrap().unwrap();
        drop(body);
        fake.dropped.acquire().await.unwrap().forget();
        ask(&client, Message::Counts).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn an_answer_comes_before_all_of_the_body_was_sent() {
    for http in BOTH {
        let (server, _) = Running::plain().await;
        let client = server.client(http);
        let endless = zeroes(u64::MAX);
        let (answer, _) = client
            .call(&Peer::Anonymous, Message::PutDerivations, Some(endless))
            .await
            .unwrap();
        assert_eq!(answer, Answer::Done);
        ask(&client, Message::Counts).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_more_than_the_limit_is_cut_with_the_reason() {
    for http in BOTH {
        let fake = Fake::new();
        let config = server_config(|config| config.limits.log_bytes = 100_000);
        let server = Running::on_loopback(&fake, config).await;
        let client = server.client(http);
        let refusal = client
            .call(&Peer::Anonymous, append(0), Some(zeroes(u64::MAX)))
            .await
            .err()
            .unwrap();
        assert_eq!(refusal.fault, Fault::Caller);
        assert_eq!(refusal.message, "the body has more than 100000 bytes");
        assert!(fake.taken.load(Ordering::SeqCst) <= 100_000);
        let (answer, _) = client
            .call(&Peer::Anonymous, append(0), Some(zeroes(100_000)))
            .await
            .unwrap();
        assert_eq!(answer, Answer::Offset(100_000));
        server.stop().await;
    }
}

#[tokio::test]
async fn who_does_not_take_an_answer_is_cut() {
    for http in BOTH {
        let fake = Fake::new();
        let config = server_config(|config| {
            config.limits.stall_time = std::time::Duration::from_millis(100);
            config.limits.header_time = std::time::Duration::from_millis(100);
        });
        let server = Running::on_loopback(&fake, config).await;
        let client = server.client(http);
        let (_, body) = client
            .call(&Peer::Anonymous, some_log(), None)
            .await
            .unwrap();
        // Nobody reads it: the server's side ends all the same.
        fake.dropped.acquire().await.unwrap().forget();
        drop(body);
        server.stop().await;
    }
}
