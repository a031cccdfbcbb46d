use std::sync::{Arc, Mutex};

use grange_interfaces::message::{Answer, FactView, Message};
use grange_interfaces::{Fault, Refusal};
use grange_model::{BuildState, FactNumber};

use super::fake::{busy, client, id, view};

fn fact(number: u64, what: &str, build: u128, state: Option<BuildState>) -> FactView {
    FactView {
        number: FactNumber(number),
        at_ms: 0,
        what: what.into(),
        builds: vec![id(build)],
        path: None,
        agent: None,
        state,
    }
}

#[tokio::test]
async fn facts_end_the_waiting_and_reopening_resumes_it() {
    let journal = [
        fact(11, "started", 1, None),
        fact(12, "ended", 1, Some(BuildState::Succeeded)),
        fact(13, "ended", 9, Some(BuildState::Failed)),
        fact(14, "reopened", 2, None),
        fact(15, "ended", 3, Some(BuildState::Canceled)),
        fact(16, "ended", 2, Some(BuildState::Succeeded)),
    ];
    let mut calls = 0;
    let client = client(move |message, _| match message {
        Message::Facts { after: None, .. } => Ok((
            Answer::Facts {
                facts: vec![],
                last: FactNumber(10),
            },
            None,
        )),
        Message::Facts {
            after: Some(FactNumber(after)),
            ..
        } => {
            calls += 1;
            if calls % 2 == 0 {
                return busy();
            }
            let facts: Vec<FactView> = journal
                .iter()
                .filter(|fact| fact.number.0 > after)
                .take(1)
                .cloned()
                .collect();
            assert!(!facts.is_empty(), "everything has ended");
            Ok((
                Answer::Facts {
                    last: facts[0].number,
                    facts,
                },
                None,
            ))
        }
        Message::Build { build } => {
            let state = if build == id(2) {
                BuildState::FailedDependency
            } else {
                BuildState::Running
            };
            Ok((Answer::Build(Box::new(view(build, state))), None))
        }
        other => panic!("{other:?}"),
    });
    let states = client.wait([id(1), id(2), id(3)]).await.unwrap();
    let expected = [
        (id(1), BuildState::Succeeded),
        (id(2), BuildState::Succeeded),
        (id(3), BuildState::Canceled),
    ];
    assert_eq!(states, expected.into());
}

#[tokio::test]
async fn a_journal_that_was_cut_makes_the_client_look_again() {
    let looks = Arc::new(Mutex::new(0));
    let count = Arc::clone(&looks);
    let client = client(move |message, _| match message {
        Message::Facts { after: None, .. } => Ok((
            Answer::Facts {
                facts: vec![],
                last: FactNumber(10),
            },
            None,
        )),
        Message::Facts { .. } => Err(Refusal::new(Fault::NotFound, "the journal begins later")),
        Message::Build { build } => {
            *count.lock().unwrap() += 1;
            let state = if *count.lock().unwrap() == 1 {
                BuildState::Ready
            } else {
                BuildState::Failed
            };
            Ok((Answer::Build(Box::new(view(build, state))), None))
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(
        client.wait([id(1)]).await.unwrap(),
        [(id(1), BuildState::Failed)].into()
    );
    assert_eq!(*looks.lock().unwrap(), 2);
}

#[tokio::test]
async fn nothing_to_wait_for_ends_at_once() {
    let client = client(|_, _| {
        Ok((
            Answer::Facts {
                facts: vec![],
                last: FactNumber(10),
            },
            None,
        ))
    });
    assert!(client.wait([]).await.unwrap().is_empty());
}
