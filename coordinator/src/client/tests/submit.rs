use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use grange_derivation::{Builder, Instantiated, StoreDir, StorePath, paths};
use grange_interfaces::message::{Answer, BuildRequest, Message, Submission};
use grange_interfaces::{Fault, Refusal};
use grange_model::BuildState;

use super::fake::{Reply, busy, client, id};
use crate::client::{ClientError, ClosureSource, MemorySource};

/// What a coordinator has and what it was sent.
#[derive(Default)]
struct State {
    has: BTreeSet<String>,
    asked: usize,
    sent: Vec<String>,
    refusals: usize,
    /// It speaks version 1 of the protocol.
    is_old: bool,
    /// It knows the question, and refuses it.
    will_not_obtain: bool,
}

impl State {
    fn answer(&mut self, message: Message, body: &[u8]) -> Reply {
        if self.refusals > 0 && !matches!(message, Message::Lacking { .. }) {
            self.refusals -= 1;
            return busy();
        }
        let answer = match message {
            Message::Lacking {
                mut derivations,
                mut items,
            } => {
                self.asked += derivations.len() + items.len();
                derivations.retain(|path| !self.has.contains(path));
                items.retain(|path| !self.has.contains(path));
                Answer::Lacking { derivations, items }
            }
            Message::Hello { .. } => Answer::Hello {
                version: if self.is_old { 1 } else { 2 },
                software: "a closure".to_owned(),
                store_dirs: vec![],
            },
            Message::Obtain { .. } if self.is_old => panic!("it does not know the question"),
            Message::Obtain { .. } if self.will_not_obtain => {
                return Err(Refusal::new(Fault::Caller, "not these"));
            }
            // It has no substitute servers.
            Message::Obtain { derivations, items } => Answer::Lacking { derivations, items },
            Message::PutDerivations => {
                let mut rest = body;
                while !rest.is_empty() {
                    let path = String::from_utf8(part(&mut rest)).unwrap();
                    let text = part(&mut rest);
                    let name = StorePath::parse_any(&path).unwrap();
                    let read = grange_derivation::Derivation::parse(
                        &StoreDir::guix(),
                        name.derivation_name().unwrap(),
                        &text,
                    );
                    for reference in read.unwrap().references() {
                        assert!(
                            self.has.contains(&reference.to_string()),
                            "{reference} comes before {path}"
                        );
                    }
                    self.arrived(path);
                }
                Answer::Done
            }
            Message::PutItems { items } => {
                assert_eq!(
                    items.iter().map(|item| item.nar_size).sum::<u64>(),
                    body.len() as u64
                );
                for item in items {
                    assert!(
                        item.references
                            .iter()
                            .all(|reference| self.has.contains(reference))
                    );
                    self.arrived(item.path);
                }
                Answer::Done
            }
            Message::Submit { builds } => Answer::Submitted(
                builds
                    .iter()
                    .map(|_| Submission::Accepted {
                        state: BuildState::Ready,
                        warnings: vec![],
                    })
                    .collect(),
            ),
            other => panic!("{other:?} was not to be asked"),
        };
        Ok((answer, None))
    }

    fn arrived(&mut self, path: String) {
        self.has.insert(path.clone());
        self.sent.push(path);
    }
}

fn part(rest: &mut &[u8]) -> Vec<u8> {
    let (length, tail) = rest.split_at(4);
    let (part, tail) = tail.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize);
    *rest = tail;
    part.to_vec()
}

fn request(derivation: &Instantiated, number: u128) -> BuildRequest {
    BuildRequest {
        id: id(number),
        derivation: derivation.path.to_string(),
        priority: 0,
        tags: Default::default(),
        requires: Default::default(),
        timeout_ms: None,
        max_silent_ms: None,
        again: false,
        no_inputs: false,
        resources: grange_model::Resources::new(),
    }
}

/// A chain of derivations, and a source that all of them use.
fn chain(length: usize) -> (Vec<Instantiated>, MemorySource) {
    let store = StoreDir::guix();
    let text = b"to be compiled".as_slice();
    let hash = grange_derivation::Hash::sha256(text).to_sha256().unwrap();
    let source = paths::text_path(&store, "hello.c", [], &hash).unwrap();
    let mut memory = MemorySource::new();
    memory.add_file(source.clone(), text, false);
    let mut derivations: Vec<Instantiated> = Vec::new();
    for number in 0..length {
        let mut builder = Builder::new(&store, format!("link-{number}"), "x86_64-linux", "/bin/sh")
            .source(source.clone());
        if let Some(before) = derivations.last() {
            builder = builder.input(before, &["out"]);
        }
        derivations.push(builder.instantiate().unwrap());
        memory.add(derivations.last().unwrap());
    }
    (derivations, memory)
}

async fn submit(
    state: &Arc<Mutex<State>>,
    root: &Instantiated,
    source: MemorySource,
) -> Result<(u64, u64), ClientError> {
    let shared = Arc::clone(state);
    let client = client(move |message, body| shared.lock().unwrap().answer(message, &body));
    let source: Arc<dyn ClosureSource> = Arc::new(source);
    let submitted = client
        .submit(vec![request(root, 1)], source, &|_| {})
        .await?;
    assert_eq!(submitted.submissions.len(), 1);
    Ok((submitted.sent.derivations, submitted.sent.sources))
}

#[tokio::test]
async fn only_what_is_lacking_is_read_and_sent() {
    let (derivations, memory) = chain(100);
    let state = Arc::new(Mutex::new(State::default()));
    assert_eq!(
        submit(&state, &derivations[89], memory).await.unwrap(),
        (90, 1)
    );

    // Only the new ten are at hand now: had others been read, that would be an error.
    let mut rest = MemorySource::new();
    for derivation in &derivations[90..] {
        rest.add(derivation);
    }
    state.lock().unwrap().asked = 0;
    assert_eq!(
        submit(&state, &derivations[99], rest).await.unwrap(),
        (10, 0)
    );
    assert_eq!(
        state.lock().unwrap().asked,
        12,
        "ten new ones, the known one below them, and the source"
    );
}

#[tokio::test]
async fn busy_coordinators_are_asked_again_and_nothing_is_counted_twice() {
    let (derivations, memory) = chain(3);
    let state = Arc::new(Mutex::new(State {
        refusals: 5,
        ..State::default()
    }));
    assert_eq!(
        submit(&state, &derivations[2], memory).await.unwrap(),
        (3, 1)
    );
    assert_eq!(state.lock().unwrap().sent.len(), 4);
}

#[tokio::test]
async fn an_incomplete_closure_is_the_callers() {
    let (derivations, _) = chain(2);
    let mut memory = MemorySource::new();
    memory.add(&derivations[1]);
    let state = Arc::new(Mutex::new(State::default()));
    let error = submit(&state, &derivations[1], memory).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Caller);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        format!(
            "`{}` is not in what was put together to be submitted",
            derivations[0].path
        )
    );
    assert!(state.lock().unwrap().sent.is_empty());
}

#[tokio::test]
async fn who_does_not_know_how_to_obtain_is_not_asked_and_who_refuses_is_heard() {
    let (derivations, _) = chain(2);
    for is_old in [true, false] {
        let mut memory = MemorySource::new();
        memory.add(&derivations[1]);
        let state = Arc::new(Mutex::new(State {
            is_old,
            will_not_obtain: true,
            ..State::default()
        }));
        let error = submit(&state, &derivations[1], memory).await.unwrap_err();
        match error {
            ClientError::Source(_) => assert!(is_old),
            ClientError::Refused(refusal) => assert!(!is_old && refusal.message == "not these"),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_text_at_a_path_of_another_is_not_sent() {
    let (derivations, _) = chain(2);
    let mut memory = MemorySource::new();
    memory.add_derivation(derivations[0].path.clone(), derivations[1].text.clone());
    let state = Arc::new(Mutex::new(State::default()));
    let error = submit(&state, &derivations[0], memory).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("belongs at"), "{cause}");
    assert!(state.lock().unwrap().sent.is_empty());
}

#[tokio::test]
async fn refusals_that_will_not_change_come_back_at_once() {
    let (derivations, memory) = chain(1);
    let client = client(|_, _| Err(Refusal::new(Fault::Forbidden, "no such token")));
    let source: Arc<dyn ClosureSource> = Arc::new(memory);
    let error = client
        .submit(vec![request(&derivations[0], 1)], source, &|_| {})
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no such token (other credentials are needed)"
    );
}

#[tokio::test]
async fn a_request_must_name_a_derivation() {
    let client = client(|message, _| panic!("{message:?} was not to be asked"));
    let source: Arc<dyn ClosureSource> = Arc::new(MemorySource::new());
    let mut request = request(&chain(1).0[0], 1);
    for path in [
        "",
        "hello.drv",
        "/gnu/store/x.drv",
        "/gnu/store/00000000000000000000000000000000-hello",
    ] {
        request.derivation = path.to_owned();
        let error = client
            .submit(vec![request.clone()], Arc::clone(&source), &|_| {})
            .await
            .unwrap_err();
        assert_eq!(error.fault(), Fault::Caller, "{path}: {error}");
    }
}
