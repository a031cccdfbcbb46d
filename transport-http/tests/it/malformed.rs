//! What no client of ours sends.

use std::time::Duration;

use grange_interfaces::Fault;
use grange_interfaces::message::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::fake::Fake;
use crate::raw::{post, refusal, rest, status, talk};
use crate::support::{BOTH, Running, ask, server_config};

const APPEND: &str = r#"{"append-log":{"attempt":{"term":1,"slot":2,"generation":3},"offset":0}}"#;

#[tokio::test]
async fn each_is_answered_with_its_status_and_a_reason() {
    let (server, _) = Running::plain().await;
    let long_header = format!("x: {}\r\n", "y".repeat(17 << 10));
    let many_headers = (0..101)
        .map(|n| format!("x-{n}: y\r\n"))
        .collect::<String>();
    let long_path = format!("/v1/{}", "y".repeat(300));
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (post("/v1/call", "", "\"counts\"\n"), 200, ""),
        (post("/v1/call", "", "\"counts\""), 200, ""),
        (post("/v1/call", "", ""), 400, "the message cannot be read: EOF"),
        (post("/v1/call", "", "{\"counts\n"), 400, "the message cannot be read"),
        (post("/v1/call", "", "\"no-such\"\n"), 400, "unknown variant `no-such`"),
        (post("/v1/call", "", "\"counts\"\nmore"), 400, "this message has no body"),
        (post("/v1/call", &long_header, "\"counts\"\n"), 431, "16384 bytes"),
        (post(&long_path, "", "\"counts\"\n"), 414, "256 bytes"),
        (post("/v1/calls", "", "\"counts\"\n"), 404, "there is nothing at"),
        (post("/v01x/call", "", "\"counts\"\n"), 404, "there is nothing at"),
        (post("/hello", "", "\"counts\"\n"), 400, "/v3/call"),
        (b"GET /v1/call HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(), 405, "POST"),
        (b"PUT / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(), 405, "GET"),
        (post("/v1/call", "authorization: Basic Zm9v\r\n", "\"counts\"\n"), 401, "AGENT-UUID:PASSWORD"),
        (
            format!("POST /v1/call HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{APPEND}\n", 1u64 << 40)
                .into_bytes(),
            413,
            "more than 1073741824 bytes",
        ),
    ];
    for (request, expected, what) in cases {
        let response = talk(&server.authority(), &request).await;
        let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
        assert_eq!(status(&response), expected, "{shown}: {response}");
        if expected != 200 {
            let message = refusal(&response).message;
            assert!(message.contains(what), "{shown}: {message}");
        }
    }
    // Refused by hyper, before we see them.
    for request in [
        post("/v1/call", &many_headers, "\"counts\"\n"),
        post("/v1/call", &long_header.repeat(5), "\"counts\"\n"),
    ] {
        assert_eq!(status(&talk(&server.authority(), &request).await), 431);
    }
    for request in [
        &b"rubbish\r\n\r\n"[..],
        b"POST /v1/call HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish and more rubbish",
    ] {
        let mut stream = TcpStream::connect(server.authority()).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
        assert!(!answer.windows(3).any(|window| window == b"200"));
    }
    ask(&server.client(BOTH[0]), Message::Counts).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused() {
    let config = server_config(|config| config.limits.message_bytes = 2000);
    let server = Running::on_loopback(&Fake::new(), config).await;
    let line = format!(
        "{{\"lacking\":{{\"items\":[],\"derivations\":[\"{}\"]}}}}\n",
        "y".repeat(2000)
    );
    let response = talk(&server.authority(), &post("/v1/call", "", &line)).await;
    assert_eq!(status(&response), 413);
    assert_eq!(
        refusal(&response).message,
        "the message's line has more than 2000 bytes"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_ends_too_soon_reaches_nobody_as_a_whole_one() {
    let (server, fake) = Running::plain().await;
    for half in [
        "POST /v1/call HTTP/1.1\r\nhost: x\r\ncontent-le".to_owned(),
        "POST /v1/call HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n\"cou".to_owned(),
        "POST /v1/call HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4\r\n\"cou"
            .to_owned(),
    ] {
        let mut stream = TcpStream::connect(server.authority()).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(!rest(&mut stream).await.contains(" 200 "), "{half}");
    }
    assert_eq!(fake.calls.load(std::sync::atomic::Ordering::SeqCst), 0);

    let mut stream = TcpStream::connect(server.authority()).await.unwrap();
    let half =
        format!("POST /v1/call HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{APPEND}\nsome");
    stream.write_all(half.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(!rest(&mut stream).await.contains(" 200 "));
    server.stop().await;
}

#[tokio::test]
async fn requests_one_behind_the_other_are_answered_in_order() {
    let (server, _) = Running::plain().await;
    let first = "POST /v1/call HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n\"counts\"";
    let mut both = first.as_bytes().to_vec();
    both.extend(post("/v1/call", "", "\"no-such\""));
    let response = talk(&server.authority(), &both).await;
    let (ok, refused) = (
        response.find(" 200 ").unwrap(),
        response.find(" 400 ").unwrap(),
    );
    assert!(ok < refused);
    server.stop().await;
}

#[tokio::test]
async fn who_sends_slowly_is_cut() {
    let config = server_config(|config| {
        config.limits.header_time = Duration::from_millis(100);
        config.limits.stall_time = Duration::from_millis(100);
        config.limits.idle_time = Duration::from_millis(100);
    });
    let server = Running::on_loopback(&Fake::new(), config).await;
    // Each of these waits for the server to close.
    assert_eq!(talk(&server.authority(), b"").await, "");
    assert_eq!(talk(&server.authority(), b"POST /v1/ca").await, "");
    assert_eq!(talk(&server.authority(), b"PRI * HTTP/2.0\r\n").await, "");
    assert_eq!(
        talk(&server.authority(), b"POST /v1/call HTTP/1.1\r\nx: ").await,
        ""
    );
    // After a request.
    let counts = "POST /v1/call HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n\"counts\"";
    assert_eq!(
        status(&talk(&server.authority(), counts.as_bytes()).await),
        200
    );
    let and_half = format!("{counts}POST /v1/call HTT");
    assert_eq!(
        status(&talk(&server.authority(), and_half.as_bytes()).await),
        200
    );
    // In the line, and in the body.
    for part in ["\"cou", &format!("{APPEND}\nsome bytes")] {
        let request =
            format!("POST /v1/call HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{part}");
        let response = talk(&server.authority(), request.as_bytes()).await;
        // The whole connection may be closed, or the answer comes first.
        if !response.is_empty() {
            assert_eq!(status(&response), 503, "{response}");
            assert_eq!(refusal(&response).fault, Fault::Busy);
        }
    }
    server.stop().await;
}
