//! Calls that go well, and refusals.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Endpoint, Fault, Peer, Secret, Stop};
use grange_transport_http::{ClientConfig, HttpEndpoint, HttpVersion, ServerConfig, serve_stream};

use crate::fake::Fake;
use crate::support::{BOTH, Running, ask, client, long_poll};

fn who() -> Message {
    Message::NewPassword {
        agent: "11111111-2222-7333-8444-555555555555".parse().unwrap(),
    }
}

#[tokio::test]
async fn calls_are_answered_after_one_hello() {
    for http in BOTH {
        let (server, fake) = Running::plain().await;
        let client = server.client(http);
        for _ in 0..100 {
            let answer = ask(&client, Message::Counts).await.unwrap();
            assert!(matches!(answer, Answer::Counts(counts) if counts.agents == 7));
        }
        assert_eq!(fake.calls.load(Ordering::SeqCst), 101, "{http:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn who_calls_arrives_as_it_was_said() {
    let agent = Peer::Agent {
        id: "11111111-2222-7333-8444-555555555555".parse().unwrap(),
        password: Secret("pass:word".into()),
    };
    for http in BOTH {
        let (server, _) = Running::plain().await;
        let client = server.client(http);
        for (peer, name) in [
            (
                agent.clone(),
                "agent 11111111-2222-7333-8444-555555555555 pass:word",
            ),
            (Peer::Token(Secret("abc".into())), "token abc"),
            (Peer::Anonymous, "anonymous"),
            (Peer::Local, "anonymous"),
        ] {
            let (answer, _) = client.call(&peer, who(), None).await.unwrap();
            assert_eq!(answer, Answer::Password(name.into()));
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn refusals_arrive_whole() {
    for http in BOTH {
        let (server, _) = Running::plain().await;
        let client = server.client(http);
        for (word, fault) in [
            ("caller", Fault::Caller),
            ("forbidden", Fault::Forbidden),
            ("not-found", Fault::NotFound),
            ("conflict", Fault::Conflict),
            ("operator", Fault::Operator),
            ("peer", Fault::Peer),
            ("busy", Fault::Busy),
            ("us", Fault::Us),
        ] {
            let message = Message::Lacking {
                derivations: vec![word.into()],
                items: vec![],
            };
            let refusal = ask(&client, message).await.unwrap_err();
            assert_eq!(refusal.fault, fault);
            assert_eq!(refusal.message, "as you wish");
            assert_eq!(refusal.retry_after_ms, Some(2500));
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_panic_of_the_endpoint_is_our_turn_and_the_connection_goes_on() {
    for http in BOTH {
        let (server, _) = Running::plain().await;
        let client = server.client(http);
        assert_eq!(
            ask(&client, Message::Agents).await.unwrap_err().fault,
            Fault::Us
        );
        ask(&client, Message::Counts).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn many_calls_run_at_once() {
    for http in BOTH {
        let (server, fake) = Running::plain().await;
        let client = Arc::new(server.client(http));
        let polls: Vec<_> = (0..50)
            .map(|_| {
                let client = Arc::clone(&client);
                tokio::spawn(async move { ask(&*client, long_poll()).await })
            })
            .collect();
        for _ in 0..50 {
            fake.is_polled().await;
        }
        ask(&*client, Message::Counts).await.unwrap();
        for poll in &polls {
            poll.abort();
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_stream_in_memory_carries_all_of_it() {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (stopper, stop) = Stop::new();
    let mut config = ServerConfig::default();
    config.trusted = true;
    let serving = tokio::spawn(serve_stream(theirs, Fake::new(), config, stop));
    let client = HttpEndpoint::over_stream("the pipe", ours, ClientConfig::default())
        .await
        .unwrap();
    let (answer, _) = client.call(&Peer::Local, who(), None).await.unwrap();
    assert_eq!(answer, Answer::Password("local".into()));
    let calls = (0..20).map(|_| ask(&client, Message::Counts));
    futures::future::try_join_all(calls).await.unwrap();

    let mut stopper = stopper;
    stopper.stop();
    serving.await.unwrap().unwrap();
    let refusal = ask(&client, Message::Counts).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Busy);
    assert!(refusal.message.contains("the pipe"), "{refusal}");
}

#[tokio::test]
async fn nobody_there_is_said_with_the_cause() {
    let (server, _) = Running::plain().await;
    let url = server.url();
    server.stop().await;
    let refusal = ask(&client(&url, ClientConfig::default()), Message::Counts)
        .await
        .unwrap_err();
    assert_eq!(refusal.fault, Fault::Busy);
    assert!(refusal.retry_after_ms.is_some());
    assert!(
        refusal
            .message
            .starts_with(&format!("cannot reach {url}: ")),
        "{refusal}"
    );
    assert!(
        refusal
            .message
            .to_lowercase()
            .contains("connection refused"),
        "{refusal}"
    );

    let refusal = ask(
        &client("unix:/nonexistent/socket", ClientConfig::default()),
        Message::Counts,
    )
    .await
    .unwrap_err();
    assert_eq!(refusal.fault, Fault::Busy);
    assert!(
        refusal
            .message
            .contains("cannot reach unix:/nonexistent/socket: No such file"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_restarted_server_is_found_again_without_an_error() {
    for http in BOTH {
        let (server, _) = Running::plain().await;
        let client = server.client(http);
        ask(&client, Message::Counts).await.unwrap();
        let address = server.address.clone();
        server.stop().await;
        let server = Running::start(address, &Fake::new(), ServerConfig::default()).await;
        ask(&client, Message::Counts).await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for http in [HttpVersion::Http1, HttpVersion::Http2] {
        let mut config = ClientConfig::default();
        config.http = http;
        config.answer_time = std::time::Duration::from_millis(50);
        let refusal = ask(&client(&url, config), Message::Counts)
            .await
            .unwrap_err();
        assert_eq!(refusal.fault, Fault::Busy);
        assert!(
            refusal.message.contains("no answer within 50ms"),
            "{refusal}"
        );
    }
}
