//! Logs: bytes, of any kind and number.

use std::sync::Arc;

use futures::StreamExt;
use grange_artifacts_dir::ArtifactsDir;
use grange_coordinator::client::{Client, LogPiece};
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Fault, bytes_of};
use grange_model::{AttemptId, BuildId, BuildState};

use crate::agent::succeeded;
use crate::farm::{Farm, Setup, body_of, derivation, within};

/// All of a build's log.
pub(crate) async fn read(client: &Client, build: BuildId) -> Vec<u8> {
    let mut reader = client.log(build, 0, true);
    let mut all = Vec::new();
    within(async {
        while let Some(piece) = reader.next().await.unwrap() {
            if let LogPiece::Bytes(bytes) = piece {
                all.extend_from_slice(&bytes);
            }
        }
        all
    })
    .await
}

/// One answer about an attempt's log.
pub(crate) async fn read_attempt(
    farm: &Farm,
    build: BuildId,
    attempt: Option<AttemptId>,
    offset: u64,
) -> Vec<u8> {
    let message = Message::Log {
        build,
        attempt,
        offset,
        wait_ms: 0,
    };
    let (answer, body) = farm.call(message, None).await.unwrap();
    let read = bytes_of(body.unwrap(), 1 << 30).await.unwrap();
    let Answer::Log {
        offset: begin,
        length,
        ..
    } = answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!((begin, length), (offset, read.len() as u64));
    read.to_vec()
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_as_they_were() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let said: Vec<u8> = (0..=255)
        .chain([0xc3, 0xff, 0xed, 0xa0, 0x80, b'\r', 0])
        .collect();
    assert_eq!(agent.log(attempt, 0, &said[..100]).await, Ok(100));
    // Repeated, overlapping, with a gap: the answer says where to go on.
    for offset in [0, 50, 99, 101, 1 << 40, u64::MAX] {
        assert_eq!(agent.log(attempt, offset, &said[100..]).await, Ok(100));
    }
    assert_eq!(read_attempt(&farm, build, None, 0).await, said[..100]);
    assert_eq!(
        agent.log(attempt, 100, &said[100..]).await,
        Ok(said.len() as u64)
    );
    let out = crate::agent::made("out", b"", &[]);
    agent.upload(attempt, &out).await;
    agent
        .report(attempt, succeeded(&[&out], said.len()))
        .await
        .unwrap();
    assert_eq!(read(&farm.client, build).await, said);
    assert_eq!(
        read_attempt(&farm, build, Some(attempt), 200).await,
        said[200..]
    );
    let wrong = [
        (None, said.len() as u64 + 1, Fault::Caller),
        (Some(other(attempt)), 0, Fault::NotFound),
    ];
    for (attempt, offset, fault) in wrong {
        let message = Message::Log {
            build,
            attempt,
            offset,
            wait_ms: 0,
        };
        let refusal = farm.call(message, None).await.err().unwrap();
        assert_eq!(refusal.fault, fault);
    }
}

fn other(attempt: AttemptId) -> AttemptId {
    AttemptId {
        generation: attempt.generation + 1,
        ..attempt
    }
}

/// 55 MB without an end of line, on disk: sent in pieces of odd length, followed meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_line_of_55_mb_is_streamed() {
    const PIECE: usize = 5_000_011;
    const PIECES: usize = 11;
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Arc::new(ArtifactsDir::open(dir.path()).unwrap());
    let farm = Setup {
        artifacts,
        ..Setup::default()
    }
    .start()
    .await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let client = farm.client.clone();
    let reading = tokio::spawn(async move {
        let mut reader = client.log(build, 0, true);
        let (mut count, mut largest, mut good) = (0_usize, 0, true);
        while let Some(piece) = reader.next().await.unwrap() {
            let LogPiece::Bytes(bytes) = piece else {
                continue;
            };
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let now = count / PIECE;
                let here = rest.len().min((now + 1) * PIECE - count);
                good &= rest[..here] == vec![now as u8; here];
                count += here;
                rest = &rest[here..];
            }
            largest = largest.max(bytes.len());
        }
        (count, largest, good)
    });
    let mut offset = 0;
    for piece in 0..PIECES {
        offset = agent
            .log(attempt, offset, &vec![piece as u8; PIECE])
            .await
            .unwrap();
    }
    assert_eq!(offset, (PIECE * PIECES) as u64);
    let out = crate::agent::made("out", b"", &[]);
    agent.upload(attempt, &out).await;
    agent
        .report(attempt, succeeded(&[&out], PIECE * PIECES))
        .await
        .unwrap();
    let (count, largest, good) = within(reading).await.unwrap();
    assert_eq!((count, good), (PIECE * PIECES, true));
    // Never held whole.
    assert!(largest <= 4 << 20, "{largest}");
    // Who does not follow it has all of it, too: it comes in parts.
    let mut reader = farm.client.log(build, 0, false);
    while within(reader.next()).await.unwrap().is_some() {}
    assert_eq!(reader.offset(), (PIECE * PIECES) as u64);
    assert_eq!(
        read_attempt(&farm, build, None, offset - 3).await,
        [PIECES as u8 - 1; 3]
    );
}

/// The build goes on; what is beyond the largest log is dropped.
#[tokio::test]
async fn beyond_the_largest_log_nothing_is_kept() {
    let mut setup = Setup::default();
    setup.config.max_log = 1_000;
    let farm = setup.start().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let mut offset = 0;
    for piece in 0..8_u8 {
        let next = agent.log(attempt, offset, &[piece; 300]).await.unwrap();
        assert_eq!(next, offset + 300, "{piece}");
        offset = next;
    }
    // An agent that was started again asks where to go on.
    assert_eq!(agent.log_offset(attempt).await, Ok(1_000));
    assert_eq!(agent.log(attempt, 1_000, &[9; 1_400]).await, Ok(2_400));
    let out = crate::agent::made("out", b"", &[]);
    agent.upload(attempt, &out).await;
    agent
        .report(attempt, succeeded(&[&out], 2_400))
        .await
        .unwrap();
    let mut kept: Vec<u8> = (0..1_000).map(|n| (n / 300) as u8).collect();
    kept.extend(b"\n[1400 more bytes of this log were dropped: 1000 are kept]\n");
    assert_eq!(read(&farm.client, build).await, kept);
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
}

#[tokio::test]
async fn nothing_said_is_an_empty_log() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    assert_eq!(read_attempt(&farm, build, None, 0).await, b"");
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    assert_eq!(read_attempt(&farm, build, Some(attempt), 0).await, b"");
    agent.fail(attempt, "no").await.unwrap();
    assert_eq!(read(&farm.client, build).await, b"");
    let nobody = BuildId(uuid::Uuid::nil());
    let message = Message::Log {
        build: nobody,
        attempt: None,
        offset: 0,
        wait_ms: 0,
    };
    let refusal = farm.call(message, None).await.err().unwrap();
    assert_eq!(refusal.fault, Fault::NotFound);
}

/// A question waits for the next byte, for the first attempt, for the end.
#[tokio::test]
async fn questions_wait() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let ask = |offset| {
        let message = Message::Log {
            build,
            attempt: None,
            offset,
            wait_ms: 20_000,
        };
        let endpoint = Arc::clone(&farm.endpoint);
        tokio::spawn(async move {
            let (answer, body) = endpoint
                .call(&grange_interfaces::Peer::Local, message, None)
                .await
                .unwrap();
            let Answer::Log { complete, .. } = answer else {
                panic!("{answer:?}")
            };
            (
                bytes_of(body.unwrap(), 100).await.unwrap().to_vec(),
                complete,
            )
        })
    };
    let waiting = ask(0);
    tokio::task::yield_now().await;
    let attempt = agent.take().await.attempt;
    agent.log(attempt, 0, b"one").await.unwrap();
    assert_eq!(within(waiting).await.unwrap(), (b"one".to_vec(), false));
    let waiting = ask(3);
    tokio::task::yield_now().await;
    agent.log(attempt, 3, b"two").await.unwrap();
    assert_eq!(within(waiting).await.unwrap(), (b"two".to_vec(), false));
    let waiting = ask(6);
    tokio::task::yield_now().await;
    agent.fail(attempt, "no").await.unwrap();
    assert_eq!(within(waiting).await.unwrap(), (Vec::new(), true));

    // Facts wait, too.
    let (_, last) = farm.client.facts(None, 0).await.unwrap();
    let client = farm.client.clone();
    let waiting = tokio::spawn(async move { client.facts(Some(last), 20_000).await });
    tokio::task::yield_now().await;
    farm.submit(&[&derivation("two", &[])]).await;
    let (facts, _) = within(waiting).await.unwrap().unwrap();
    assert_eq!(facts[0].what, "submitted");
    assert!(facts[0].path.as_ref().unwrap().ends_with("-two.drv"));
}

/// A log that is sealed while its reader is between two questions loses and doubles nothing.
#[tokio::test]
async fn a_log_is_followed_through_its_end() {
    let farm = Farm::new().await;
    let mut agent = farm.agent().await;
    for round in 0..20_u8 {
        let build = farm.submit(&[&derivation(&format!("n{round}"), &[])]).await[0];
        let client = farm.client.clone();
        let reading = tokio::spawn(async move { read(&client, build).await });
        let attempt = agent.take().await.attempt;
        let mut said = Vec::new();
        for piece in 0..round {
            let body = body_of(vec![piece; 10]);
            let message = Message::AppendLog {
                attempt,
                offset: said.len() as u64,
            };
            agent.call(message, Some(body.boxed())).await.unwrap();
            said.extend([piece; 10]);
        }
        let report = grange_interfaces::message::Report::Failed {
            kind: grange_model::FailureKind::Exit(1),
            message: "no".into(),
            log_size: said.len() as u64,
            usage: grange_model::Usage::default(),
        };
        agent.report(attempt, report).await.unwrap();
        assert_eq!(reading.await.unwrap(), said, "{round}");
    }
}
