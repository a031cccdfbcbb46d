//! Ends that do not keep to the protocol.

use grange_guest::client::{ClientError, Guest};
use grange_guest::protocol::{
    BREAK, Decoder, Digest, Exec, Frame, Kind, MAX_PAYLOAD, NONCE, ProtocolError,
};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::rig::{ByHand, Process, deadline, soon};

/// A guest by hand that has answered the hello, and its host.
async fn pair() -> (ByHand, Guest) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut guest = ByHand {
        port: theirs,
        decoder: Decoder::guest(),
    };
    let greet = async {
        let hello = guest.next().await.unwrap();
        assert_eq!(hello.kind, Kind::Hello);
        let welcome = br#"{"version":1,"boot_id":"b","clock_ms":5,"kernel":"k"}"#;
        let payload = [&hello.payload[..NONCE], welcome].concat();
        // What comes before is another's.
        guest.port.write_all(b"noise").await.unwrap();
        guest.send(&Frame::new(Kind::Welcome, 0, payload)).await;
    };
    let ((), host) = soon(async { tokio::join!(greet, Guest::connect(ours, deadline())) }).await;
    (guest, host.unwrap())
}

/// Why the host ends the conversation when a program was started and this came.
async fn ended_by(frames: &[Frame]) -> ClientError {
    let (mut guest, host) = pair().await;
    let started = Frame::new(Kind::Progress, 1, br#"{"started":{"pid":1}}"#.to_vec());
    guest.send(&started).await;
    let running = soon(host.run(Exec::new("x"))).await;
    for frame in frames {
        guest.send(frame).await;
    }
    let why = soon(host.closed()).await;
    drop(running);
    why
}

#[tokio::test]
async fn a_guest_that_breaks_the_protocol_is_left() {
    let answer = Frame::new(Kind::Answer, 1, br#""done""#.to_vec());
    let flood = vec![Frame::data(1, 0, vec![0; MAX_PAYLOAD]); 5];
    let cases = [
        (flood, ProtocolError::Window(1)),
        (vec![Frame::credit(1, 0, 1)], ProtocolError::Credit(1)),
        (
            vec![Frame::credit(1, 0, u32::MAX)],
            ProtocolError::Credit(1),
        ),
        (
            vec![Frame::data(9, 0, vec![1])],
            ProtocolError::Unexpected {
                kind: Kind::Data,
                stream: 9,
            },
        ),
        (
            vec![Frame::new(Kind::Open, 2, Vec::new())],
            ProtocolError::Unexpected {
                kind: Kind::Open,
                stream: 2,
            },
        ),
        (
            vec![Frame::end(1, 0), Frame::data(1, 0, vec![1])],
            ProtocolError::Window(1),
        ),
        (
            vec![Frame::new(Kind::Progress, 1, answer.payload.clone()); 3],
            ProtocolError::Unexpected {
                kind: Kind::Progress,
                stream: 1,
            },
        ),
    ];
    for (frames, expected) in cases {
        match ended_by(&frames).await {
            ClientError::Protocol(found) => assert_eq!(found, expected),
            other => panic!("{other:?} instead of {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_guest_that_sends_garbage_is_left() {
    for garbage in [vec![0; 10], b"grange-guest: panic".to_vec(), vec![0xe7; 99]] {
        let (mut guest, host) = pair().await;
        guest.port.write_all(&garbage).await.unwrap();
        let why = soon(host.closed()).await;
        assert!(
            matches!(why, ClientError::Protocol(ProtocolError::Magic(_))),
            "{why:?}"
        );
        // It is told why.
        assert_eq!(soon(guest.next()).await.unwrap().kind, Kind::Broken);
    }
}

#[tokio::test]
async fn a_guest_that_answers_nonsense_is_left() {
    for nonsense in [
        "",
        "{",
        "7",
        r#"{"started":{"pid":1}}"#,
        r#"{"exited":"x"}"#,
    ] {
        let (mut guest, host) = pair().await;
        guest
            .send(&Frame::new(Kind::Answer, 1, nonsense.into()))
            .await;
        let failed = soon(host.ping()).await;
        assert!(
            matches!(failed, Err(ClientError::Protocol(_))),
            "{nonsense}: {failed:?}"
        );
        assert!(host.is_closed());
        soon(host.closed()).await;
    }
}

#[tokio::test]
async fn a_file_that_arrives_as_another_is_no_file() {
    let digest = Digest::of(b"sent");
    for (size, sent) in [(4, "tent"), (5, "sent"), (4, "sen"), (4, "sent")] {
        let (mut guest, host) = pair().await;
        guest.send(&Frame::data(1, 0, sent.into())).await;
        guest.send(&Frame::end(1, 0)).await;
        let got = format!(r#"{{"got":{{"size":{size},"sha256":"{digest}","mode":420}}}}"#);
        guest.send(&Frame::new(Kind::Answer, 1, got.into())).await;
        let got = soon(host.get("/file", tokio::io::sink(), 9)).await;
        if (size, sent) == (4, "sent") {
            assert_eq!(got.unwrap().sha256, digest);
        } else {
            assert!(
                matches!(got, Err(ClientError::Corrupt)),
                "{size} {sent}: {got:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_connection_ends_with_its_last_handle() {
    let (mut guest, host) = pair().await;
    let other = host.clone();
    drop(host);
    let pinged = tokio::spawn(async move { other.ping().await });
    let ping = soon(guest.next()).await.unwrap();
    guest
        .send(&Frame::new(
            Kind::Answer,
            ping.stream,
            br#""done""#.to_vec(),
        ))
        .await;
    soon(pinged).await.unwrap().unwrap();
    assert_eq!(soon(guest.next()).await, None);
}

#[tokio::test]
async fn a_guest_that_takes_nothing_ends_nothing_but_the_conversation() {
    let (guest, host) = pair().await;
    // It neither reads nor answers; what waits to be sent to it is bounded.
    let flood = async {
        loop {
            let asked = host.ping();
            let asked = tokio::time::timeout(std::time::Duration::ZERO, asked).await;
            if let Ok(Err(error)) = asked {
                break error;
            }
        }
    };
    let why = soon(flood).await;
    assert!(matches!(why, ClientError::Flood), "{why:?}");
    drop(guest);
}

#[tokio::test]
async fn noise_before_the_answer_ends_with_the_deadline() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let noise =
        tokio::spawn(async move { while theirs.write_all(&[0xe7; 65_536]).await.is_ok() {} });
    let deadline = std::time::Instant::now() + std::time::Duration::from_millis(50);
    let connected = Guest::connect(ours, deadline).await;
    assert!(
        matches!(connected, Err(ClientError::TimedOut)),
        "{connected:?}"
    );
    soon(noise).await.unwrap();
}

#[tokio::test]
async fn a_host_that_breaks_the_protocol_is_told_and_may_come_again() {
    let data = |length| Frame::data(1, 0, vec![0; length]);
    let cat = br#"{"exec":{"program":"sleep","arguments":["1000"],"environment":{"PATH":"/bin:/usr/bin"},"directory":"/","user":null,"stdin":true}}"#;
    let cases = [
        vec![Frame::new(Kind::Welcome, 0, vec![0; NONCE])],
        vec![Frame::new(Kind::Answer, 1, Vec::new())],
        vec![data(1)],
        vec![
            Frame::new(Kind::Open, 2, cat.to_vec()),
            Frame::new(Kind::Open, 1, cat.to_vec()),
        ],
        // More than pipe and window take.
        [
            vec![Frame::new(Kind::Open, 1, cat.to_vec())],
            vec![data(MAX_PAYLOAD); 7],
        ]
        .concat(),
    ];
    for frames in cases {
        let process = Process::serving();
        let mut host = ByHand::host(process.port()).await;
        for frame in &frames {
            host.send(frame).await;
        }
        let why = soon(async {
            loop {
                let frame = host.next().await.unwrap();
                if frame.kind == Kind::Broken {
                    break frame.payload;
                }
            }
        })
        .await;
        assert!(!why.is_empty());
        drop(host);
        let guest = process.guest().await;
        soon(guest.ping()).await.unwrap();
    }
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_refused_one_by_one() {
    let process = Process::serving();
    let mut host = ByHand::host(process.port()).await;
    assert_eq!(soon(host.next()).await.unwrap().kind, Kind::Welcome);
    for (stream, request) in [
        (1, ""),
        (2, "{}"),
        (3, r#"{"dance":1}"#),
        (4, r#"{"get":{"path":7}}"#),
    ] {
        host.send(&Frame::new(Kind::Open, stream, request.into()))
            .await;
        let answer = soon(host.next()).await.unwrap();
        assert_eq!((answer.kind, answer.stream), (Kind::Answer, stream));
        let text = String::from_utf8(answer.payload).unwrap();
        assert!(text.starts_with(r#"{"failed":{"turn":"caller""#), "{text}");
    }
}

#[tokio::test]
async fn garbage_does_not_wake_a_guest() {
    let process = Process::serving();
    let mut port = process.port();
    // What looks like the beginning of a hello, and a whole one of a version that nobody speaks.
    let mut bytes = Vec::new();
    let payload = [[0; NONCE].as_slice(), br#"{"version":0}"#].concat();
    Frame::new(Kind::Hello, 0, payload)
        .encode(&mut bytes)
        .unwrap();
    port.write_all(&[b"noise", &bytes[..9], &bytes, &vec![7; 3 * BREAK]].concat())
        .await
        .unwrap();
    let mut host = ByHand::host(process.port()).await;
    assert_eq!(soon(host.next()).await.unwrap().kind, Kind::Welcome);
    // Nothing was said before.
    assert_eq!(host.decoder.skipped(), 0);
}
