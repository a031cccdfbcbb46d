//! What happens is recorded: once, whole, over restarts and full disks.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use grange_coordinator::Sink;
use grange_interfaces::{Datastore, History as _};
use grange_model::{BuildState, FactNumber, Timestamp};
use grange_recording::{Cursor, Ending, Event, Line, Lines, header};
use grange_testing::MemoryDatastore;

use crate::agent::made;
use crate::farm::{Farm, Setup, derivation, request, until, within};
use crate::gates::GatedDatastore;

/// A recording in memory; it goes on in a clone.
#[derive(Clone, Debug, Default)]
struct Paper {
    text: Arc<Mutex<Vec<u8>>>,
    full: Arc<AtomicBool>,
    refused: Arc<AtomicBool>,
}

impl Paper {
    fn lines(&self) -> Vec<Line> {
        let text = self.text.lock().unwrap();
        let lines = Lines::new(text.as_slice()).into_iter().flatten();
        lines.map(Result::unwrap).collect()
    }

    fn count(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.lines().iter().filter(|line| is(&line.event)).count()
    }

    async fn has_ended(&self, count: usize) {
        until(|| async { self.count(|event| matches!(event, Event::Ended(_))) == count }).await;
    }
}

impl Sink for Paper {
    fn cursor(&self) -> Option<Cursor> {
        let text = self.text.lock().unwrap();
        let mut lines = Lines::new(text.as_slice()).ok()?;
        let begins = lines.begins();
        let last = lines.by_ref().last().map(|line| line.unwrap().cursor);
        Some(last.unwrap_or(begins))
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            self.refused.store(true, Ordering::SeqCst);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.text.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

fn memory() -> Arc<MemoryDatastore> {
    Arc::default()
}

async fn farm_on<D: Datastore + 'static>(datastore: &Arc<D>, paper: &Paper) -> Farm {
    let setup = Setup {
        datastore: Arc::clone(datastore) as _,
        ..Setup::default()
    };
    let mut farm = setup.start().await;
    farm.coordinator.record(Box::new(paper.clone()));
    until(|| async { paper.cursor().is_some() || paper.refused.load(Ordering::SeqCst) }).await;
    farm
}

#[tokio::test]
async fn builds_attempts_and_agents_are_recorded() {
    let paper = Paper::default();
    let farm = farm_on(&memory(), &paper).await;
    let mut agent = farm.agent().await;
    let base = derivation("base", &[]);
    let user = derivation("user", &[&base]);
    let mut source = grange_coordinator::client::MemorySource::new();
    source.add(&base).add(&user);
    let mut asked = request(&user);
    asked.priority = 7;
    asked.tags.insert("submitter".into(), "ada".into());
    let build = asked.id;
    farm.submit_as(vec![asked], source).await;
    let attempt = agent.take().await.attempt;
    let out = made("out", b"base", &[]);
    agent.succeed(attempt, b"", &[&out]).await.unwrap();
    let attempt = agent.take().await.attempt;
    agent.fail(attempt, "no").await.unwrap();
    assert_eq!(farm.wait(build).await, BuildState::Failed);
    paper.has_ended(2).await;

    let lines = paper.lines();
    let submitted = lines.iter().filter_map(|line| match &line.event {
        Event::Submitted(submitted) => Some(&**submitted),
        _ => None,
    });
    let submitted: Vec<_> = submitted.collect();
    let find = |name: &str| {
        let mut all = submitted.iter();
        all.find(|it| it.derivation.name == name).unwrap()
    };
    let (base, user) = (find("base"), find("user"));
    assert_eq!(
        (submitted.len(), base.implicit, user.implicit),
        (2, true, false)
    );
    assert_eq!(user.derivation.inputs, [base.derivation.id]);
    assert_eq!((user.build, user.priority), (build, 7));
    assert_eq!(user.tags["submitter"], "ada");
    let ended = lines.iter().filter_map(|line| match &line.event {
        Event::Ended(ended) => Some((ended.build, ended.state, ended.attempts[0].how)),
        _ => None,
    });
    let expected = [
        (base.build, BuildState::Succeeded, Ending::Succeeded),
        (build, BuildState::Failed, Ending::Failed),
    ];
    assert_eq!(ended.collect::<Vec<_>>(), expected);
    let agents = lines.iter().filter_map(|line| match &line.event {
        Event::Agent(agent) => Some(agent),
        _ => None,
    });
    let agents: Vec<_> = agents.collect();
    assert_eq!((agents.len(), agents[0].id), (1, agent.id));
    assert_eq!(agents[0].systems, agent.capacity.systems);
}

/// Nothing is missing and nothing is there twice, whenever a coordinator was killed.
#[tokio::test]
async fn a_recording_goes_on_after_a_restart() {
    let (paper, datastore) = (Paper::default(), Arc::new(MemoryDatastore::new()));
    for round in 0..3 {
        let farm = farm_on(&datastore, &paper).await;
        let mut agent = farm.agent().await;
        for number in 0..2 {
            let name = format!("n{round}-{number}");
            let build = farm.submit(&[&derivation(&name, &[])]).await[0];
            let attempt = agent.take().await.attempt;
            let out = made("out", b"", &[]);
            agent.succeed(attempt, b"", &[&out]).await.unwrap();
            assert_eq!(farm.wait(build).await, BuildState::Succeeded);
        }
        // The last of it was not recorded yet, perhaps.
        within(farm.kill()).await;
    }
    let _farm = farm_on(&datastore, &paper).await;
    paper.has_ended(6).await;
    assert_eq!(paper.count(|event| matches!(event, Event::Submitted(_))), 6);
    assert_eq!(paper.count(|event| matches!(event, Event::Gap(_))), 0);
    let lines = paper.lines();
    assert!(lines.is_sorted_by_key(|line| line.cursor.fact));
}

#[tokio::test]
async fn a_full_disk_stops_nobody_and_nothing_is_lost() {
    let paper = Paper::default();
    paper.full.store(true, Ordering::SeqCst);
    let farm = farm_on(&memory(), &paper).await;
    let mut agent = farm.agent().await;
    for number in 0..3 {
        let build = farm
            .submit(&[&derivation(&format!("n{number}"), &[])])
            .await[0];
        let attempt = agent.take().await.attempt;
        let out = made("out", b"", &[]);
        agent.succeed(attempt, b"", &[&out]).await.unwrap();
        assert_eq!(farm.wait(build).await, BuildState::Succeeded);
    }
    assert_eq!(paper.cursor(), None);
    paper.full.store(false, Ordering::SeqCst);
    paper.has_ended(3).await;
    assert_eq!(paper.count(|event| matches!(event, Event::Submitted(_))), 3);
    within(farm.coordinator.stop()).await;
}

#[tokio::test]
async fn what_the_journal_has_no_more_is_a_gap() {
    let datastore = Arc::new(GatedDatastore::new(MemoryDatastore::new()));
    let paper = Paper::default();
    within(farm_on(&datastore, &paper).await.kill()).await;
    let farm = farm_on(&datastore, &Paper::default()).await;
    farm.submit(&[&derivation("lost", &[])]).await;
    farm.submit(&[&derivation("kept", &[])]).await;
    within(farm.kill()).await;
    let page = datastore.inner.facts(FactNumber(0), 100).await.unwrap();
    let last = page.entries.last().unwrap().number;
    datastore.cut.store(last.0, Ordering::Relaxed);

    let _farm = farm_on(&datastore, &paper).await;
    until(|| async { paper.lines().len() == 2 }).await;
    let lines = paper.lines();
    assert!(matches!(&lines[0].event, Event::Gap(gap) if gap.after == FactNumber(0)));
    assert_eq!(lines[0].cursor.fact, last);
    let Event::Submitted(submitted) = &lines[1].event else {
        panic!("{lines:?}");
    };
    assert_eq!(submitted.derivation.name, "kept");
}

/// A recording of a farm whose journal went on further, or otherwise, says that something is missing.
#[tokio::test]
async fn another_journal_is_a_gap() {
    for (fact, at) in [(1_000, 5), (1, 5)] {
        let datastore = Arc::new(MemoryDatastore::new());
        let farm = farm_on(&datastore, &Paper::default()).await;
        farm.submit(&[&derivation("before", &[])]).await;
        within(farm.kill()).await;

        let (fact, at) = (FactNumber(fact), Timestamp(at));
        let paper = Paper::default();
        *paper.text.lock().unwrap() = header(Cursor { fact, at });
        let farm = farm_on(&datastore, &paper).await;
        until(|| async { paper.lines().len() == 1 }).await;
        assert!(matches!(&paper.lines()[0].event, Event::Gap(gap) if gap.after == fact));
        farm.submit(&[&derivation("behind", &[])]).await;
        until(|| async { paper.count(|event| matches!(event, Event::Submitted(_))) == 1 }).await;
    }
}
