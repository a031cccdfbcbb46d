use std::sync::{Arc, Mutex};

use grange_interfaces::message::{Answer, AttemptView, Message};
use grange_interfaces::{Fault, Refusal};
use grange_model::{AgentId, AttemptId, BuildState, FactNumber, Term};

use super::fake::{Reply, busy, client, id, pieces, view};
use crate::client::{Client, LogPiece};

fn attempt(slot: u32) -> AttemptId {
    AttemptId {
        term: Term(1),
        slot,
        generation: 0,
    }
}

fn attempt_view(slot: u32) -> AttemptView {
    AttemptView {
        id: attempt(slot),
        agent: AgentId(uuid::Uuid::nil()),
        assigned_at_ms: 0,
        ended_at_ms: None,
        state: "building".into(),
        message: String::new(),
        has_log: true,
        usage: Default::default(),
        choice: String::new(),
    }
}

fn log(slot: u32, offset: u64, length: u64, complete: bool, body: &[&[u8]]) -> Reply {
    let answer = Answer::Log {
        attempt: Some(attempt(slot)),
        offset,
        length,
        complete,
    };
    Ok((answer, Some(pieces(body))))
}

/// The log as text, each attempt on a line of its own.
async fn read(client: &Client, offset: u64, follow: bool) -> String {
    let mut reader = client.log(id(1), offset, follow);
    let mut text = String::new();
    while let Some(piece) = reader.next().await.unwrap() {
        match piece {
            LogPiece::Attempt(attempt) => text.push_str(&format!("[{}]", attempt.slot)),
            LogPiece::Bytes(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
        }
    }
    text
}

#[tokio::test]
async fn a_broken_log_goes_on_where_it_broke() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let client = client(move |message, _| {
        let Message::Log {
            offset,
            attempt: asked_attempt,
            ..
        } = message
        else {
            return match message {
                Message::Facts { .. } => Ok((
                    Answer::Facts {
                        facts: vec![],
                        last: FactNumber(1),
                    },
                    None,
                )),
                Message::Build { .. } => {
                    let mut view = view(id(1), BuildState::Succeeded);
                    view.attempts.push(attempt_view(7));
                    Ok((Answer::Build(Box::new(view)), None))
                }
                other => panic!("{other:?}"),
            };
        };
        let mut seen = seen.lock().unwrap();
        seen.push((offset, asked_attempt.is_some()));
        match seen.len() {
            1 => Ok((
                Answer::Log {
                    attempt: None,
                    offset: 0,
                    length: 0,
                    complete: false,
                },
                None,
            )),
            2 => log(7, 0, 8, false, &[b"abc", b""]),
            3 => busy(),
            // Cut short without an error, and beginning before what was asked for.
            4 => log(7, 1, 6, false, &[b"b", b"cde"]),
            5 => log(7, 5, 0, false, &[]),
            6 => log(7, 5, 3, true, &[b"fgh"]),
            _ => panic!("nothing more was to be asked"),
        }
    });
    // Before there is an attempt, a reader that does not follow is at the end.
    assert_eq!(read(&client, 0, false).await, "");
    assert_eq!(read(&client, 0, true).await, "[7]abcdefgh");
    let offsets: Vec<u64> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|(offset, _)| *offset)
        .collect();
    assert_eq!(offsets, [0, 0, 3, 3, 5, 5]);
    assert!(
        asked.lock().unwrap()[2..].iter().all(|(_, pinned)| *pinned),
        "another attempt's log must not be mixed in"
    );
}

#[tokio::test]
async fn a_lost_attempt_is_followed_by_the_next() {
    let mut looks = 0;
    let client = client(move |message, _| match message {
        Message::Log {
            attempt: None,
            offset: 0,
            ..
        } => log(1, 0, 5, true, &[b"first"]),
        Message::Log {
            attempt: Some(given),
            offset: 0,
            ..
        } if given == attempt(2) => log(2, 0, 6, true, &[b"second"]),
        Message::Facts { after, .. } => {
            let last = FactNumber(after.map_or(10, |after| after.0 + 1));
            let fact = grange_interfaces::message::FactView {
                number: last,
                at_ms: 0,
                what: "started".into(),
                builds: vec![id(1)],
                path: None,
                agent: None,
                state: None,
            };
            Ok((
                Answer::Facts {
                    facts: vec![fact],
                    last,
                },
                None,
            ))
        }
        Message::Build { .. } => {
            looks += 1;
            let mut view = view(
                id(1),
                if looks < 4 {
                    BuildState::Running
                } else {
                    BuildState::Succeeded
                },
            );
            view.attempts.push(attempt_view(1));
            if looks > 1 {
                view.attempts.push(attempt_view(2));
            }
            Ok((Answer::Build(Box::new(view)), None))
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(read(&client, 0, true).await, "[1]first[2]second");
}

#[tokio::test]
async fn a_log_that_is_dropped_while_it_is_read_ends_but_other_refusals_are_told() {
    for (has_log, expected) in [
        (false, Ok("[1]begun".to_owned())),
        (true, Err(Fault::Caller)),
    ] {
        let client = client(move |message, _| match message {
            Message::Log { offset: 0, .. } => log(1, 0, 5, false, &[b"begun"]),
            Message::Log { .. } => Err(Refusal::new(Fault::Caller, "the log has only 0 bytes")),
            Message::Facts { .. } => Ok((
                Answer::Facts {
                    facts: vec![],
                    last: FactNumber(1),
                },
                None,
            )),
            Message::Build { .. } => {
                let mut view = view(id(1), BuildState::Canceled);
                view.attempts.push(attempt_view(1));
                view.attempts[0].has_log = has_log;
                Ok((Answer::Build(Box::new(view)), None))
            }
            other => panic!("{other:?}"),
        });
        let mut reader = client.log(id(1), 0, true);
        let mut text = String::new();
        let ended = loop {
            match reader.next().await {
                Ok(None) => break Ok(text),
                Ok(Some(LogPiece::Attempt(attempt))) => {
                    text.push_str(&format!("[{}]", attempt.slot))
                }
                Ok(Some(LogPiece::Bytes(bytes))) => {
                    text.push_str(std::str::from_utf8(&bytes).unwrap())
                }
                Err(error) => break Err(error.fault()),
            }
        };
        assert_eq!(ended, expected);
    }
}
