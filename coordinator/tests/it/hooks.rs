//! Hooks: what they ask for, refuse and put off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use grange_coordinator::MissingInputs;
use grange_interfaces::message::Report;
use grange_interfaces::{Delivery, FinishedFilter, History, Hook, HookError, Request};
use grange_model::{BuildId, BuildSpec, BuildState, Fact, HookRecord, Key, Record};
use grange_testing::MemoryDatastore;

use crate::agent::made;
use crate::farm::{Farm, Setup, derivation, request, until};

async fn record(datastore: &MemoryDatastore, name: &str) -> HookRecord {
    let found = datastore.get(&[Key::Hook(name.into())]).await.unwrap();
    match found.into_iter().next() {
        Some(Some(Record::Hook(record))) => record,
        _ => HookRecord::default(),
    }
}

async fn with(hooks: Vec<Arc<dyn Hook>>) -> (Farm, Arc<MemoryDatastore>) {
    let datastore = Arc::new(MemoryDatastore::new());
    let setup = Setup {
        datastore: Arc::clone(&datastore) as _,
        hooks,
        ..Setup::default()
    };
    (setup.start().await, datastore)
}

/// Who asks for no builds of inputs gets them all the same once an agent misses one.
#[tokio::test]
async fn missing_inputs_are_built() {
    let farm = Farm::new().await;
    let (base, mut agent) = (derivation("base", &[]), farm.agent().await);
    let user = derivation("user", &[&base]);
    let mut source = grange_coordinator::client::MemorySource::new();
    source.add(&base).add(&user);
    let mut asked = request(&user);
    asked.no_inputs = true;
    let build = asked.id;
    let accepted = farm.submit_as(vec![asked], source).await;
    assert_eq!(accepted[0].0, BuildState::Ready);
    let attempt = agent.take().await.attempt;
    let job = agent.job(attempt).await.unwrap();
    assert_eq!(job.missing, [base.output("out").unwrap().to_string()]);
    let report = Report::SetupFailed {
        missing: job.missing,
        problem: "missing-inputs".into(),
        message: "base is missing".into(),
    };
    agent.report(attempt, report).await.unwrap();
    let assignment = agent.take().await;
    assert_eq!(assignment.derivation, base.path.to_string());
    let out = made("out", b"base", &[]);
    agent
        .succeed(assignment.attempt, b"", &[&out])
        .await
        .unwrap();
    let assignment = agent.take().await;
    assert_eq!(assignment.builds, [build]);
    let out = made("out", b"user", &[]);
    agent
        .succeed(assignment.attempt, b"", &[&out])
        .await
        .unwrap();
    assert_eq!(farm.wait(build).await, BuildState::Succeeded);
}

/// A hook that never takes anything.
#[derive(Debug, Default)]
struct Never(AtomicU32);

#[async_trait]
impl Hook for Never {
    fn name(&self) -> &str {
        "never"
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        _: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        assert_eq!(self.0.fetch_add(1, Ordering::Relaxed), delivery.tries);
        Err(HookError::Retry("not today".into()))
    }
}

#[tokio::test]
async fn a_hook_that_always_retries_slows_nobody() {
    let never = Arc::new(Never::default());
    let (farm, datastore) = with(vec![
        Arc::clone(&never) as _,
        Arc::new(MissingInputs::default()),
    ])
    .await;
    let (_, from) = farm.client.facts(None, 0).await.unwrap();
    let mut agent = farm.agent().await;
    for round in 0..5 {
        let build = farm.submit(&[&derivation(&format!("n{round}"), &[])]).await[0];
        let attempt = agent.take().await.attempt;
        let out = made("out", b"", &[]);
        agent.succeed(attempt, b"", &[&out]).await.unwrap();
        assert_eq!(farm.wait(build).await, BuildState::Succeeded);
    }
    let (_, last) = farm.client.facts(None, 0).await.unwrap();
    until(|| async { record(&datastore, "missing-inputs").await.cursor == last }).await;
    until(|| async { record(&datastore, "reopen").await.cursor == last }).await;
    until(|| async { never.0.load(Ordering::Relaxed) >= 2 }).await;
    assert!(record(&datastore, "never").await.cursor <= from);
}

/// A hook that refuses what it hears of one build's end.
#[derive(Debug)]
struct Picky(std::sync::Mutex<Vec<(BuildId, &'static str)>>);

#[async_trait]
impl Hook for Picky {
    fn name(&self) -> &str {
        "picky"
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        _: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        let (build, what) = match &delivery.fact.fact {
            Fact::Submitted { build, .. } => (*build, "submitted"),
            Fact::Ended { build, .. } => (*build, "ended"),
            _ => return Ok(Vec::new()),
        };
        self.0.lock().unwrap().push((build, what));
        if build.0.as_u128() == 1 {
            return Err(HookError::Reject("not this one".into()));
        }
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_dead_letter_holds_back_one_build() {
    let picky = Arc::new(Picky(std::sync::Mutex::default()));
    let (farm, datastore) = with(vec![Arc::clone(&picky) as _]).await;
    let (bad, good) = (derivation("bad", &[]), derivation("good", &[]));
    let id = |number| BuildId(uuid::Uuid::from_u128(number));
    let mut source = grange_coordinator::client::MemorySource::new();
    source.add(&bad).add(&good);
    let (mut one, mut two) = (request(&bad), request(&good));
    (one.id, two.id) = (id(1), id(2));
    farm.submit_as(vec![one, two], source).await;
    farm.client.cancel(vec![id(1), id(2)]).await.unwrap();
    let (_, last) = farm.client.facts(None, 0).await.unwrap();
    until(|| async { record(&datastore, "picky").await.cursor == last }).await;
    let heard = picky.0.lock().unwrap().clone();
    assert_eq!(
        heard,
        [(id(1), "submitted"), (id(2), "submitted"), (id(2), "ended")]
    );
    let letters = record(&datastore, "picky").await.dead_letters;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].build, &*letters[0].message),
        (Some(id(1)), "not this one")
    );
}

/// A hook that asks for another build whenever one was submitted.
#[derive(Debug)]
struct Endless;

#[async_trait]
impl Hook for Endless {
    fn name(&self) -> &str {
        "endless"
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        _: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        let Fact::Submitted { derivation, .. } = &delivery.fact.fact else {
            return Ok(Vec::new());
        };
        let limits = MissingInputs::default().limits;
        Ok(vec![Request::Build(BuildSpec {
            id: BuildId(uuid::Uuid::now_v7()),
            derivation: *derivation,
            priority: 0,
            tags: Default::default(),
            requires: Default::default(),
            limits,
            again: false,
            inputs: true,
            cause: None,
            resources: grange_model::Resources::new(),
        })])
    }
}

#[tokio::test]
async fn hooks_in_a_row_come_to_an_end() {
    let (farm, datastore) = with(vec![Arc::new(Endless)]).await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    until(|| async { !record(&datastore, "endless").await.dead_letters.is_empty() }).await;
    let letters = record(&datastore, "endless").await.dead_letters;
    assert!(
        letters[0].message.contains("more than 16 hooks in a row"),
        "{letters:?}"
    );
    let counts = farm.client.counts().await.unwrap();
    assert_eq!(counts.builds["ready"], 17);
    farm.client.cancel(vec![build]).await.unwrap();
    let filter = FinishedFilter::default();
    assert_eq!(
        datastore
            .finished(&filter, None, 100)
            .await
            .unwrap()
            .entries
            .len(),
        1
    );
}

/// What a hook asked for is done once, though commits fail and the coordinator is killed.
#[tokio::test]
async fn what_a_hook_asks_for_is_done_once() {
    let datastore = Arc::new(MemoryDatastore::new());
    let setup = |datastore: Arc<MemoryDatastore>| Setup {
        datastore: datastore as _,
        hooks: vec![Arc::new(Once)],
        ..Setup::default()
    };
    let farm = setup(Arc::clone(&datastore)).start().await;
    // The journal holds what was submitted before the coordinator is killed, the hook's cursor not.
    datastore.fail_after(1);
    let one = derivation("one", &[]);
    farm.submit(&[&one]).await;
    datastore.hold();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    drop(farm);
    let datastore = Arc::new(datastore.reopen());
    let farm = setup(Arc::clone(&datastore)).start().await;
    datastore.fail_before(2);
    until(|| async { farm.client.counts().await.unwrap().builds["ready"] == 2 }).await;
    let (_, last) = farm.client.facts(None, 0).await.unwrap();
    until(|| async { record(&datastore, "once").await.cursor == last }).await;
    assert_eq!(farm.client.counts().await.unwrap().builds["ready"], 2);
}

/// Asks for one more build of what a person asked for.
#[derive(Debug)]
struct Once;

#[async_trait]
impl Hook for Once {
    fn name(&self) -> &str {
        "once"
    }

    async fn deliver(
        &self,
        delivery: &Delivery,
        history: &dyn History,
    ) -> Result<Vec<Request>, HookError> {
        let Fact::Submitted { build, .. } = &delivery.fact.fact else {
            return Ok(Vec::new());
        };
        // Its own are of version 8.
        if build.0.get_version_num() == 8 {
            return Ok(Vec::new());
        }
        let requests = Endless.deliver(delivery, history).await?;
        let own = |request| match request {
            Request::Build(spec) => {
                let id = BuildId(
                    uuid::Builder::from_custom_bytes(*uuid::Uuid::now_v7().as_bytes()).into_uuid(),
                );
                Request::Build(BuildSpec { id, ..spec })
            }
            other => other,
        };
        Ok(requests.into_iter().map(own).collect())
    }
}
