//! A coordinator in memory: strict about what an agent may say, and breaking off where it is told to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::Hash;
use grange_interfaces::message::{
    Answer, Assignment, ExchangeAnswer, ExchangeRequest, ItemView, JobAnswer, Message, Report,
};
use grange_interfaces::{Body, Endpoint, Fault, Peer, Refusal};
use grange_model::{AttemptId, SessionId};
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Farm {
    state: Mutex<FarmState>,
    changed: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct FarmState {
    pub(crate) unreachable: bool,
    pub(crate) password: String,
    pub(crate) store_dirs: Vec<String>,
    /// What the agent shall hold.
    pub(crate) counted: BTreeMap<AttemptId, Assignment>,
    pub(crate) jobs: BTreeMap<AttemptId, JobAnswer>,
    /// Items and what they are sent as.
    pub(crate) items: BTreeMap<String, (ItemView, Bytes)>,
    pub(crate) logs: BTreeMap<AttemptId, Vec<u8>>,
    /// By attempt, output and hash.
    pub(crate) uploads: BTreeMap<(AttemptId, String, String), Vec<u8>>,
    pub(crate) reports: Vec<(AttemptId, Report)>,
    pub(crate) exchanges: Vec<ExchangeRequest>,
    /// The kinds of all messages, in order.
    pub(crate) calls: Vec<&'static str>,
    pub(crate) session: Option<SessionId>,
    pub(crate) revision: u64,
    /// The next bodies break off after so many bytes; none that does not.
    pub(crate) cuts: VecDeque<usize>,
    /// What the next reports are answered with.
    pub(crate) refuse_reports: VecDeque<Fault>,
    /// What the next calls of one kind are answered with.
    pub(crate) refuse: VecDeque<(&'static str, Refusal)>,
    /// The next calls of these kinds are never answered.
    pub(crate) hang: VecDeque<&'static str>,
    /// The largest body of a part of a log.
    pub(crate) largest_log_body: usize,
    pub(crate) fetches: BTreeMap<String, Vec<u64>>,
    /// Texts that agents can ask for.
    pub(crate) derivations: BTreeMap<String, Vec<u8>>,
}

fn kind(message: &Message) -> &'static str {
    match message {
        Message::Hello { .. } => "hello",
        Message::Exchange(_) => "exchange",
        Message::Job { .. } => "job",
        Message::AppendLog { .. } => "append-log",
        Message::LogOffset { .. } => "log-offset",
        Message::UploadOffset { .. } => "upload-offset",
        Message::AppendUpload { .. } => "append-upload",
        Message::Report { .. } => "report",
        Message::FetchItem { .. } => "fetch-item",
        Message::Derivations { .. } => "derivations",
        Message::Items { .. } => "items",
        other => panic!("an agent does not say {other:?}"),
    }
}

fn no(fault: Fault, message: &str) -> Refusal {
    Refusal::new(fault, message)
}

impl Farm {
    pub(crate) fn state(&self) -> MutexGuard<'_, FarmState> {
        self.state.lock().unwrap()
    }

    /// Changes something; exchanges that wait look again.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut FarmState) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_waiters();
        result
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&FarmState) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if holds(&self.state()) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(3600), wait)
            .await
            .is_err()
        {
            panic!(
                "in an hour it did not come to this: {what}; {:?}",
                self.state().calls
            );
        }
    }

    fn check(&self, attempt: AttemptId) -> Result<(), Refusal> {
        if self.state().counted.contains_key(&attempt) {
            return Ok(());
        }
        Err(no(Fault::Conflict, "nobody wants this attempt"))
    }

    async fn exchange(&self, request: ExchangeRequest) -> Result<ExchangeAnswer, Refusal> {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(request.wait_ms);
        self.change(|state| {
            if state
                .session
                .is_some_and(|session| session > request.session)
            {
                return Err(no(Fault::Conflict, "a newer session of this agent exists"));
            }
            if state.session == Some(request.session) && request.revision <= state.revision {
                return Err(no(Fault::Conflict, "an older exchange"));
            }
            state.session = Some(request.session);
            state.revision = request.revision;
            state.exchanges.push(request.clone());
            Ok(())
        })?;
        let held: BTreeSet<_> = request.attempts.iter().map(|held| held.attempt).collect();
        loop {
            let changed = self.changed.notified();
            let answer = {
                let state = self.state();
                if state.unreachable {
                    return Err(no(Fault::Busy, "the connection broke"));
                }
                let new = state
                    .counted
                    .iter()
                    .filter(|(attempt, _)| !held.contains(attempt));
                ExchangeAnswer {
                    assign: new.map(|(_, assignment)| assignment.clone()).collect(),
                    drop: held
                        .iter()
                        .filter(|id| !state.counted.contains_key(id))
                        .copied()
                        .collect(),
                    lease_ms: 90_000,
                }
            };
            let news = !answer.assign.is_empty() || !answer.drop.is_empty();
            if news || self.state().revision != request.revision {
                return Ok(answer);
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Ok(answer);
            }
        }
    }

    /// Takes a body; how much of it came, and whether that was all.
    async fn take(&self, body: Option<Body>) -> (Vec<u8>, bool) {
        let cut = self.state().cuts.pop_front();
        let mut body = body.expect("there is a body");
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.expect("the agent can read what it sends"));
            if let Some(cut) = cut.filter(|cut| bytes.len() >= *cut) {
                bytes.truncate(cut);
                return (bytes, false);
            }
        }
        (bytes, true)
    }

    async fn append(
        &self,
        offset: u64,
        body: Option<Body>,
        log: bool,
        grow: impl Fn(&mut FarmState) -> &mut Vec<u8>,
    ) -> Result<(Answer, Option<Body>), Refusal> {
        let (bytes, all) = self.take(body).await;
        let length = self.change(|state| {
            if log {
                state.largest_log_body = state.largest_log_body.max(bytes.len());
            }
            let grown = grow(state);
            let known = grown.len().checked_sub(usize::try_from(offset).unwrap());
            // What is known already is not taken again; a gap is not filled.
            if let Some(new) = known.and_then(|known| bytes.get(known..)) {
                grown.extend_from_slice(new);
            }
            grown.len() as u64
        });
        if all {
            Ok((Answer::Offset(length), None))
        } else {
            Err(no(Fault::Busy, "broken off"))
        }
    }

    fn fetch(&self, path: &str, offset: u64) -> Result<(Answer, Option<Body>), Refusal> {
        self.change(|state| {
            state
                .fetches
                .entry(path.to_owned())
                .or_default()
                .push(offset);
            let Some((view, bytes)) = state.items.get(path).cloned() else {
                return Err(no(Fault::NotFound, "there is no such item"));
            };
            let rest = bytes.slice(usize::try_from(offset).unwrap()..);
            let cut = state.cuts.pop_front().unwrap_or(usize::MAX);
            let mut pieces: Vec<_> = rest
                .slice(..rest.len().min(cut))
                .chunks(10_000)
                .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                .collect();
            if cut < rest.len() {
                pieces.push(Err(std::io::Error::other("broken off")));
            }
            Ok((Answer::Item(view), Some(stream::iter(pieces).boxed())))
        })
    }

    fn report(&self, attempt: AttemptId, report: Report) -> Option<Refusal> {
        self.change(|state| {
            if let Some(fault) = state.refuse_reports.pop_front() {
                return Some(no(fault, "the report is refused"));
            }
            if state.counted.remove(&attempt).is_none() {
                return Some(no(Fault::Conflict, "nobody wants this attempt"));
            }
            let log = state.logs.get(&attempt).map_or(0, Vec::len) as u64;
            match &report {
                Report::Succeeded {
                    outputs, log_size, ..
                } => {
                    assert_eq!(*log_size, log, "the log is whole");
                    for output in outputs {
                        let key = (attempt, output.name.clone(), output.file_hash.clone());
                        let bytes = state.uploads.get(&key).expect("the output was sent");
                        assert_eq!(bytes.len() as u64, output.file_size);
                        assert_eq!(Hash::sha256(bytes).to_base16(), output.file_hash);
                        let nar = zstd::decode_all(bytes.as_slice()).unwrap();
                        assert_eq!(nar.len() as u64, output.nar_size);
                        assert_eq!(Hash::sha256(&nar).to_base16(), output.nar_hash);
                    }
                }
                Report::Failed { log_size, .. } => assert_eq!(*log_size, log, "the log is whole"),
                _ => {}
            }
            state.reports.push((attempt, report));
            None
        })
    }
}

#[async_trait]
impl Endpoint for Farm {
    async fn call(
        &self,
        peer: &Peer,
        message: Message,
        body: Option<Body>,
    ) -> Result<(Answer, Option<Body>), Refusal> {
        // What goes over a network lets others run.
        tokio::task::yield_now().await;
        let kind = kind(&message);
        self.change(|state| {
            state.calls.push(kind);
            if state.unreachable {
                return Err(no(Fault::Busy, "not reached"));
            }
            let known =
                matches!(peer, Peer::Agent { password, .. } if password.0 == state.password);
            if !known && kind != "hello" {
                return Err(no(Fault::Forbidden, "the password is wrong"));
            }
            if state
                .refuse
                .front()
                .is_some_and(|(refused, _)| *refused == kind)
            {
                let refusal = state.refuse.pop_front().expect("there is a first one");
                return Err(refusal.1);
            }
            Ok(())
        })?;
        let hangs = self.change(|state| {
            let hangs = state.hang.front() == Some(&kind);
            if hangs {
                state.hang.pop_front();
            }
            hangs
        });
        if hangs {
            std::future::pending::<()>().await;
        }
        match message {
            Message::Hello { .. } => {
                let store_dirs = self.state().store_dirs.clone();
                Ok((
                    Answer::Hello {
                        version: 1,
                        software: "a test".into(),
                        store_dirs,
                    },
                    None,
                ))
            }
            Message::Exchange(request) => {
                Ok((Answer::Exchange(self.exchange(request).await?), None))
            }
            Message::Job { attempt } => {
                self.check(attempt)?;
                let job = self.state().jobs[&attempt].clone();
                Ok((Answer::Job(Box::new(job)), None))
            }
            Message::AppendLog { attempt, offset } => {
                self.check(attempt)?;
                self.append(offset, body, true, |state| {
                    state.logs.entry(attempt).or_default()
                })
                .await
            }
            Message::LogOffset { attempt } => {
                self.check(attempt)?;
                let length = self.state().logs.get(&attempt).map_or(0, Vec::len) as u64;
                Ok((Answer::Offset(length), None))
            }
            Message::UploadOffset {
                attempt,
                output,
                file_hash,
            } => {
                self.check(attempt)?;
                let key = (attempt, output, file_hash);
                let length = self.state().uploads.get(&key).map_or(0, Vec::len) as u64;
                Ok((Answer::Offset(length), None))
            }
            Message::AppendUpload {
                attempt,
                output,
                file_hash,
                offset,
            } => {
                self.check(attempt)?;
                let key = (attempt, output, file_hash);
                self.append(offset, body, false, |state| {
                    state.uploads.entry(key.clone()).or_default()
                })
                .await
            }
            Message::Report { reports } => {
                let refusals = reports
                    .into_iter()
                    .map(|(attempt, report)| self.report(attempt, report));
                Ok((Answer::Reported(refusals.collect()), None))
            }
            Message::FetchItem { path, offset } => self.fetch(&path, offset),
            Message::Derivations { paths } => {
                let mut frames = Vec::new();
                for path in paths {
                    let text = self.state().derivations.get(&path).cloned();
                    let text = text.ok_or_else(|| no(Fault::NotFound, "no such derivation"))?;
                    for part in [path.as_bytes(), &text] {
                        frames.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
                        frames.extend(part);
                    }
                }
                // In small pieces, as they may come.
                let pieces: Vec<_> = frames.chunks(100).map(Bytes::copy_from_slice).collect();
                let body = stream::iter(pieces.into_iter().map(Ok)).boxed();
                Ok((Answer::Derivations, Some(body)))
            }
            Message::Items { paths, closure } => {
                assert!(closure, "what they refer to is needed as well");
                let state = self.state();
                let find = |path| state.items.get(path).map(|(view, _)| view.clone());
                Ok((Answer::Items(paths.iter().map(find).collect()), None))
            }
            other => panic!("an agent does not say {other:?}"),
        }
    }
}
