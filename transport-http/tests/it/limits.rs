//! How much may go on at once.

use std::sync::Arc;
use std::time::Duration;

use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Endpoint, Fault, Peer, bytes_of};
use grange_transport_http::ClientConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::fake::{Fake, zeroes};
use crate::raw::{refusal, rest, status};
use crate::support::{BOTH, Running, ask, client, long_poll, server_config, slow_call};

#[tokio::test]
async fn one_connection_is_enough_for_calls_one_after_the_other() {
    for http in BOTH {
        let config = server_config(|config| config.limits.connections = 1);
        let server = Running::on_loopback(&Fake::new(), config).await;
        let client = server.client(http);
        for size in [0, 1, 100_000] {
            ask(&client, Message::Counts).await.unwrap();
            let message = Message::Lacking {
                derivations: vec!["conflict".into()],
                items: vec![],
            };
            assert_eq!(
                ask(&client, message).await.unwrap_err().fault,
                Fault::Conflict
            );
            let append = Message::AppendLog {
                attempt: "1.2.3".parse().unwrap(),
                offset: 0,
            };
            let (answer, _) = client
                .call(&Peer::Anonymous, append, Some(zeroes(size)))
                .await
                .unwrap();
            assert_eq!(answer, Answer::Offset(size));
            let fetch = Message::FetchItem {
                path: format!("/gnu/store/x-{size}"),
                offset: 0,
            };
            let (_, body) = client.call(&Peer::Anonymous, fetch, None).await.unwrap();
            assert_eq!(
                bytes_of(body.unwrap(), 100_000).await.unwrap().len() as u64,
                size
            );
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let fake = Fake::new();
    let config = server_config(|config| config.limits.connections = 1);
    let server = Running::on_loopback(&fake, config).await;
    let client = Arc::new(server.client(BOTH[0]));
    let first = tokio::spawn({
        let client = Arc::clone(&client);
        async move { ask(&*client, slow_call()).await }
    });
    fake.is_polled().await;
    let refusal = ask(&*client, Message::Counts).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Busy);
    assert_eq!(refusal.message, "there are too many connections");
    // One that speaks HTTP/2 does not understand this, but that it was not served.
    assert_eq!(
        ask(&server.client(BOTH[1]), Message::Counts)
            .await
            .unwrap_err()
            .fault,
        Fault::Busy
    );
    fake.go_on.notify_one();
    first.await.unwrap().unwrap();
    ask(&*client, Message::Counts).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_make_room_for_others() {
    for http in BOTH {
        let config = server_config(|config| config.limits.connections = 3);
        let fake = Fake::new();
        let server = Running::on_loopback(&fake, config).await;
        // One has a call, one had one, and one never said anything.
        let busy = Arc::new(server.client(http));
        let call = tokio::spawn({
            let client = Arc::clone(&busy);
            async move { ask(&*client, slow_call()).await }
        });
        fake.is_polled().await;
        let used = server.client(http);
        ask(&used, Message::Counts).await.unwrap();
        let mut silent = TcpStream::connect(server.authority()).await.unwrap();
        for _ in 0..4 {
            ask(&server.client(http), Message::Counts).await.unwrap();
        }
        assert_eq!(rest(&mut silent).await, "");
        // Its connection was closed, which it does not show.
        ask(&used, Message::Counts).await.unwrap();
        fake.go_on.notify_one();
        call.await.unwrap().unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn a_call_too_many_is_told_so() {
    for http in BOTH {
        let fake = Fake::new();
        let config = server_config(|config| config.limits.calls = 1);
        let server = Running::on_loopback(&fake, config).await;
        let client = Arc::new(server.client(http));
        let first = tokio::spawn({
            let client = Arc::clone(&client);
            async move { ask(&*client, slow_call()).await }
        });
        fake.is_polled().await;
        let refusal = ask(&*client, Message::Counts).await.unwrap_err();
        assert_eq!(
            (refusal.fault, &*refusal.message),
            (Fault::Busy, "too many calls are running")
        );
        fake.go_on.notify_one();
        first.await.unwrap().unwrap();
        ask(&*client, Message::Counts).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_its_call() {
    for http in BOTH {
        let fake = Fake::new();
        let config = server_config(|config| config.limits.calls = 1);
        let server = Running::on_loopback(&fake, config).await;
        let client = Arc::new(server.client(http));
        let poll = tokio::spawn({
            let client = Arc::clone(&client);
            async move { ask(&*client, long_poll()).await }
        });
        fake.is_polled().await;
        poll.abort();
        // There is room again as soon as the server has noticed.
        while let Err(refusal) = ask(&*client, Message::Counts).await {
            assert_eq!(refusal.message, "too many calls are running");
            tokio::task::yield_now().await;
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn long_messages_share_their_memory() {
    let config = server_config(|config| {
        config.limits.message_bytes = 1 << 20;
        config.limits.message_memory_bytes = 1 << 20;
    });
    let server = Running::on_loopback(&Fake::new(), config).await;
    // Two lines of which each has room, but not both; neither ends.
    let begin = |mut stream: TcpStream| async move {
        let head = "POST /v1/call HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 600 << 10]).await.unwrap();
        stream
    };
    let first = begin(TcpStream::connect(server.authority()).await.unwrap()).await;
    let second = begin(TcpStream::connect(server.authority()).await.unwrap()).await;
    let answer = |mut stream: TcpStream| async move {
        let mut byte = [0];
        stream.peek(&mut byte).await.unwrap();
        let _ = stream.shutdown().await;
        rest(&mut stream).await
    };
    let response = tokio::select! {
        response = answer(first) => response,
        response = answer(second) => response,
    };
    assert_eq!(status(&response), 503);
    assert_eq!(
        refusal(&response).message,
        "too many long messages are being read"
    );
    server.stop().await;
}

/// What a firewall does that forgets connections: nothing more comes through those that there are.
#[tokio::test]
async fn after_a_call_that_was_given_up_no_old_connection_is_trusted() {
    let (server, _) = Running::plain().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let forgotten = Arc::new(tokio::sync::Notify::new());
    let to = server.authority();
    let firewall = tokio::spawn({
        let forgotten = Arc::clone(&forgotten);
        async move {
            let mut all = tokio::task::JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(&to).await.unwrap();
                let forgotten = Arc::clone(&forgotten);
                all.spawn(async move {
                    let copied = tokio::io::copy_bidirectional(&mut near, &mut far);
                    tokio::select! {
                        _ = copied => {}
                        () = forgotten.notified() => std::future::pending().await,
                    }
                });
            }
        }
    });
    let client = client(&url, ClientConfig::default());
    // Two connections that are used no more.
    let (first, second) =
        tokio::join!(ask(&client, Message::Counts), ask(&client, Message::Counts));
    first.and(second).unwrap();
    forgotten.notify_waiters();
    let patience = Duration::from_millis(50);
    let silent = tokio::time::timeout(patience, ask(&client, Message::Counts)).await;
    assert!(silent.is_err(), "{silent:?}");
    ask(&client, Message::Counts).await.unwrap();
    firewall.abort();
    server.stop().await;
}
