//! A server that stops.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Endpoint, Fault, Peer};

use crate::fake::{Fake, zeroes};
use crate::support::{BOTH, Running, ask, long_poll, server_config, slow_call};

#[tokio::test]
async fn long_polls_are_answered_at_once() {
    for http in BOTH {
        let (server, fake) = Running::plain().await;
        let client = server.client(http);
        let poll = tokio::spawn(async move { ask(&client, long_poll()).await });
        fake.is_polled().await;
        server.stop().await;
        let refusal = poll.await.unwrap().unwrap_err();
        assert_eq!(
            (refusal.fault, &*refusal.message),
            (Fault::Busy, "the coordinator is stopping")
        );
    }
}

#[tokio::test]
async fn other_calls_are_finished() {
    for http in BOTH {
        let (mut server, fake) = Running::plain().await;
        let client = Arc::new(server.client(http));
        let call = tokio::spawn({
            let client = Arc::clone(&client);
            async move { ask(&*client, slow_call()).await }
        });
        fake.is_polled().await;
        // An upload that is half there.
        let (mut more, rest) = futures::channel::mpsc::channel(0);
        let upload = tokio::spawn({
            let client = Arc::clone(&client);
            let body = zeroes(1000).chain(rest).boxed();
            let message = Message::AppendLog {
                attempt: "1.2.3".parse().unwrap(),
                offset: 0,
            };
            async move {
                client
                    .call(&Peer::Anonymous, message, Some(body))
                    .await
                    .map(|(answer, _)| answer)
            }
        });
        futures::SinkExt::send(&mut more, Ok(vec![1; 10].into()))
            .await
            .unwrap();
        while fake.taken.load(std::sync::atomic::Ordering::SeqCst) < 1010 {
            tokio::task::yield_now().await;
        }
        server.stopper.stop();
        drop(more);
        assert_eq!(
            upload.await.unwrap().unwrap(),
            Answer::Offset(1010),
            "{http:?}"
        );
        fake.go_on.notify_one();
        assert_eq!(call.await.unwrap().unwrap(), Answer::Done);
        server.serving.await.unwrap();
        assert_eq!(
            ask(&*client, Message::Counts).await.unwrap_err().fault,
            Fault::Busy
        );
    }
}

#[tokio::test]
async fn what_takes_too_long_is_cut() {
    for http in BOTH {
        let fake = Fake::new();
        let config = server_config(|config| config.limits.stop_time = Duration::from_millis(50));
        let server = Running::on_loopback(&fake, config).await;
        let client = server.client(http);
        let call = tokio::spawn(async move { ask(&client, slow_call()).await });
        fake.is_polled().await;
        server.stop().await;
        assert_eq!(call.await.unwrap().unwrap_err().fault, Fault::Busy);
    }
}

#[tokio::test]
async fn unused_connections_do_not_hold_it_up() {
    for http in BOTH {
        let config = server_config(|config| config.limits.stop_time = Duration::from_secs(100_000));
        let server = Running::on_loopback(&Fake::new(), config).await;
        let client = server.client(http);
        ask(&client, Message::Counts).await.unwrap();
        let silent = tokio::net::TcpStream::connect(server.authority())
            .await
            .unwrap();
        server.stop().await;
        drop((client, silent));
    }
}
