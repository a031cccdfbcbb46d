//! Two coordinators on one database.

use std::path::Path;
use std::sync::Arc;

use grange_coordinator::{Coordinator, Parts, StartError, Stopped, SystemClock};
use grange_interfaces::message::Message;
use grange_interfaces::{ArtifactStore, Claim, Fault, StoreError};
use grange_model::BuildState;
use grange_store_sqlite::{SqliteConfig, SqliteDatastore};

use crate::agent::made;
use crate::farm::{Setup, derivation, request, within};
use crate::restart::on_disk;

/// Another on the same database; a directory of artifacts opens only once.
fn beside(dir: &Path, artifacts: &Arc<dyn ArtifactStore>) -> Setup {
    let datastore = SqliteDatastore::open(dir.join("db"), SqliteConfig::default()).unwrap();
    Setup {
        datastore: Arc::new(datastore),
        artifacts: Arc::clone(artifacts),
        ..Setup::default()
    }
}

#[tokio::test]
async fn the_second_is_told_that_the_first_runs() {
    let dir = tempfile::tempdir().unwrap();
    let setup = on_disk(dir.path()).await;
    let artifacts = Arc::clone(&setup.artifacts);
    let farm = setup.start().await;
    let setup = beside(dir.path(), &artifacts);
    let parts = Parts {
        datastore: setup.datastore,
        artifacts: setup.artifacts,
        clock: Arc::new(SystemClock),
        upstreams: grange_coordinator::Upstreams::default(),
        hooks: Vec::new(),
        seed: 2,
        claim: Claim::Exclusive,
    };
    let error = Coordinator::start(Default::default(), parts)
        .await
        .unwrap_err();
    assert!(
        matches!(error, StartError::Datastore(StoreError::InUse(_))),
        "{error:?}"
    );
    // The first is none the worse for it.
    farm.submit(&[&derivation("one", &[])]).await;
}

#[tokio::test]
async fn one_that_is_taken_over_ends_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let setup = on_disk(dir.path()).await;
    let artifacts = Arc::clone(&setup.artifacts);
    let mut first = setup.start().await;
    let one = derivation("one", &[]);
    let build = first.submit(&[&one]).await[0];
    let mut agent = first.agent().await;
    let attempt = agent.take().await.attempt;
    let mut setup = beside(dir.path(), &artifacts);
    setup.claim = Claim::Force;
    let second = setup.start().await;
    // It learns so from its next commit.
    let builds = vec![request(&one)];
    let refusal = first.call(Message::Submit { builds }, None).await.err();
    let refusal = refusal.unwrap();
    assert_eq!(refusal.fault, Fault::Operator, "{refusal}");
    assert!(
        refusal.message.contains("another coordinator has claimed"),
        "{refusal}"
    );
    let stopped = within(first.coordinator.ended()).await;
    assert!(
        matches!(stopped, Stopped::Datastore(StoreError::Fenced { .. })),
        "{stopped:?}"
    );
    for message in [Message::Agents, Message::Build { build }, Message::Counts] {
        let refusal = first.call(message, None).await.err().unwrap();
        assert!(refusal.message.contains("has ended"), "{refusal}");
    }
    let late = agent.log(attempt, 0, b"to the first").await.unwrap_err();
    assert_eq!(late.fault, Fault::Operator, "{late}");

    agent.endpoint = Arc::clone(&second.endpoint);
    agent.exchange(&[attempt], 0).await.unwrap();
    let out = made("out", b"one", &[]);
    agent
        .succeed(attempt, b"to the second", &[&out])
        .await
        .unwrap();
    assert_eq!(second.state(build).await, BuildState::Succeeded);
    assert_eq!(
        crate::logs::read(&second.client, build).await,
        b"to the second"
    );
}
