//! Blobs that no record names go; no others do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use grange_artifacts_dir::ArtifactsDir;
use grange_derivation::Instantiated;
use grange_derivation::nar;
use grange_interfaces::message::Report;
use grange_interfaces::{ArtifactStore, Fault};
use grange_model::{BuildId, BuildState};
use grange_store_sqlite::{SqliteConfig, SqliteDatastore};

use crate::agent::{Agent, made, succeeded};
use crate::clock::ManualClock;
use crate::farm::{Farm, Setup, again, body_of, derivation, within};
use crate::gates::{Gate, GatedArtifacts, GatedDatastore};
use crate::items::{fetch, put, text};
use crate::logs::read_attempt;
use crate::restart::on_disk;

async fn blobs(artifacts: &dyn ArtifactStore) -> usize {
    artifacts.blobs().count().await
}

fn sqlite(dir: &Path) -> SqliteDatastore {
    SqliteDatastore::open(dir.join("db"), SqliteConfig::default()).unwrap()
}

/// Builds it, although it may have been built before, with this output and log.
async fn build_again(
    farm: &Farm,
    agent: &mut Agent,
    what: &Instantiated,
    out: &[u8],
    log: &[u8],
) -> BuildId {
    let request = again(what);
    let id = request.id;
    let mut source = grange_coordinator::client::MemorySource::new();
    source.add(what);
    farm.submit_as(vec![request], source).await;
    let attempt = agent.take().await.attempt;
    let out = made("out", out, &[]);
    agent.succeed(attempt, log, &[&out]).await.unwrap();
    assert_eq!(farm.state(id).await, BuildState::Succeeded);
    id
}

/// Only the first output of a derivation is served; what a later attempt brought is of no use.
#[tokio::test]
async fn what_no_record_names_goes() {
    for chunk in [1, 2, 100] {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = on_disk(dir.path()).await;
        setup.config.sweep_chunk = chunk;
        let artifacts = Arc::clone(&setup.artifacts);
        let farm = setup.start().await;
        let mut agent = farm.agent().await;
        let one = derivation("one", &[]);
        let builds = [
            build_again(&farm, &mut agent, &one, b"first", b"a log").await,
            build_again(&farm, &mut agent, &one, b"second", b"another log").await,
            build_again(&farm, &mut agent, &one, b"third, longer", b"").await,
        ];
        // Three outputs, two logs.
        assert_eq!(blobs(&*artifacts).await, 5);

        let looked = farm.coordinator.sweep(false).await.unwrap();
        assert_eq!(
            (looked.blobs, looked.unreferenced, looked.deleted),
            (5, 2, 0)
        );
        let second = made("out", b"second", &[]).said.file_size;
        let third = made("out", b"third, longer", &[]).said.file_size;
        assert_eq!(looked.bytes, second + third);
        assert_eq!(blobs(&*artifacts).await, 5);

        let swept = farm.coordinator.sweep(true).await.unwrap();
        assert_eq!((swept.unreferenced, swept.deleted), (2, 2));
        assert_eq!(swept.bytes, looked.bytes);
        let swept = farm.coordinator.sweep(true).await.unwrap();
        assert_eq!((swept.blobs, swept.deleted), (3, 0));

        let place = dir.path().join("out");
        farm.client
            .fetch(one.output("out").unwrap(), &place)
            .await
            .unwrap();
        assert_eq!(std::fs::read(place).unwrap(), b"first");
        let mut logs = Vec::new();
        for build in builds {
            logs.push(crate::logs::read(&farm.client, build).await);
        }
        assert_eq!(logs, [&b"a log"[..], b"another log", b""]);
    }
}

/// An agent that loses a result builds anew, and other bytes may come of that: what it sent at first is of no use once its attempt has ended.
#[tokio::test]
async fn what_an_attempt_sent_and_did_not_report_goes_when_it_has_ended() {
    for chunk in [1, 100] {
        let dir = tempfile::tempdir().unwrap();
        let mut setup = on_disk(dir.path()).await;
        setup.config.sweep_chunk = chunk;
        let artifacts = Arc::clone(&setup.artifacts);
        let farm = setup.start().await;
        let builds = farm
            .submit(&[&derivation("one", &[]), &derivation("two", &[])])
            .await;
        let mut agent = farm.agent().await;
        let one = agent.take().await.attempt;
        let two = agent.take_beside(&[one]).await.attempt;
        let lost = made("out", b"lost", &[]);
        for attempt in [one, two] {
            agent.upload(attempt, &lost).await;
        }
        // Neither has ended.
        let swept = farm.coordinator.sweep(true).await.unwrap();
        assert_eq!((swept.blobs, swept.unreferenced), (2, 0));
        let anew = made("out", b"built anew", &[]);
        agent.succeed(one, b"", &[&anew]).await.unwrap();
        assert_eq!(artifacts.uploads().count().await, 2);
        let looked = farm.coordinator.sweep(false).await.unwrap();
        assert_eq!(
            (looked.unreferenced, looked.bytes),
            (1, lost.said.file_size)
        );
        let swept = farm.coordinator.sweep(true).await.unwrap();
        assert_eq!(swept.deleted, 1);
        assert_eq!(artifacts.uploads().count().await, 1);
        // What the other has sent is still good.
        agent.report(two, succeeded(&[&lost], 0)).await.unwrap();
        for build in builds {
            assert_eq!(farm.state(build).await, BuildState::Succeeded);
        }
    }
}

/// A sweep has read the records; then a report brings a name for a blob that has been here for long,
/// and is acknowledged; then the sweep deletes.
#[tokio::test]
async fn a_report_that_comes_during_a_sweep_keeps_its_blob() {
    let dir = tempfile::tempdir().unwrap();
    let datastore = Arc::new(GatedDatastore::new(sqlite(dir.path())));
    let artifacts = Arc::new(ArtifactsDir::open(dir.path().join("artifacts")).unwrap());
    let setup = Setup {
        datastore: Arc::clone(&datastore) as _,
        artifacts: Arc::clone(&artifacts) as _,
        ..Setup::default()
    };
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    let one = derivation("one", &[]);
    build_again(&farm, &mut agent, &one, b"first", b"").await;
    build_again(&farm, &mut agent, &one, b"second", b"").await;
    build_again(&farm, &mut agent, &one, b"third", b"").await;

    let other = derivation("other", &[]);
    let build = farm.submit(&[&other]).await[0];
    let attempt = agent.take().await.attempt;
    let out = made("out", b"second", &[]);
    let here = agent.upload_offset(attempt, &out).await.unwrap();
    assert_eq!(here, out.said.file_size);
    datastore.items.close();
    let report = async {
        datastore.items.is_reached().await;
        agent.report(attempt, succeeded(&[&out], 0)).await.unwrap();
        datastore.items.open();
    };
    let (swept, ()) = within(async { tokio::join!(farm.coordinator.sweep(true), report) }).await;
    // The third goes, the second has a name by now.
    assert_eq!(swept.unwrap().deleted, 1);
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
    let place = dir.path().join("out");
    farm.client
        .fetch(other.output("out").unwrap(), &place)
        .await
        .unwrap();
    assert_eq!(std::fs::read(place).unwrap(), b"second");
    assert_eq!(farm.coordinator.sweep(true).await.unwrap().unreferenced, 0);
}

/// A blob is just being deleted when a report wants to rely on it: the report waits, finds it gone,
/// and the agent sends it after all.
#[tokio::test]
async fn a_report_waits_for_a_deletion() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Arc::new(GatedArtifacts {
        inner: ArtifactsDir::open(dir.path().join("artifacts")).unwrap(),
        delete: Gate::default(),
    });
    let setup = Setup {
        datastore: Arc::new(sqlite(dir.path())),
        artifacts: Arc::clone(&artifacts) as _,
        ..Setup::default()
    };
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    let one = derivation("one", &[]);
    build_again(&farm, &mut agent, &one, b"first", b"").await;
    build_again(&farm, &mut agent, &one, b"second", b"").await;

    let build = farm.submit(&[&derivation("other", &[])]).await[0];
    let attempt = agent.take().await.attempt;
    let out = made("out", b"second", &[]);
    assert!(agent.upload_offset(attempt, &out).await.unwrap() > 0);
    artifacts.delete.close();
    let report = async {
        artifacts.delete.is_reached().await;
        let mut report = Box::pin(agent.report(attempt, succeeded(&[&out], 0)));
        // It is the blob that is deleted before it looks.
        tokio::select! {
            biased;
            early = &mut report => panic!("{early:?}"),
            () = async { for _ in 0..100 { tokio::task::yield_now().await } } => {}
        }
        artifacts.delete.open();
        report.await.unwrap_err()
    };
    let (swept, refusal) =
        within(async { tokio::join!(farm.coordinator.sweep(true), report) }).await;
    assert_eq!(swept.unwrap().deleted, 1);
    assert_eq!(refusal.fault, Fault::Conflict, "{refusal}");
    assert_eq!(agent.upload_offset(attempt, &out).await, Ok(0));
    agent.succeed(attempt, b"", &[&out]).await.unwrap();
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
    assert_eq!(farm.coordinator.sweep(true).await.unwrap().unreferenced, 0);
}

/// A client hangs up while its source is being committed, so that nothing pins the blob any more: the
/// sweep reads the records only when the commit is durable.
#[tokio::test]
async fn a_sweep_waits_for_what_is_being_committed() {
    let dir = tempfile::tempdir().unwrap();
    let datastore = Arc::new(GatedDatastore::new(sqlite(dir.path())));
    let setup = Setup {
        datastore: Arc::clone(&datastore) as _,
        ..on_disk(dir.path()).await
    };
    let farm = setup.start().await;
    let (upload, nar) = text("source", b"a source", &[]);
    datastore.commit.close();
    datastore.items.close();
    tokio::select! {
        put = put(&farm, vec![upload.clone()], nar) => panic!("{put:?}"),
        () = datastore.commit.is_reached() => {}
    }
    let commit = async {
        // Where the sweep does not wait, it comes here.
        let early = datastore.items.is_reached();
        let early = tokio::time::timeout(Duration::from_millis(200), early).await;
        datastore.commit.open();
        datastore.items.open();
        early.is_ok()
    };
    let (swept, early) = within(async { tokio::join!(farm.coordinator.sweep(true), commit) }).await;
    let swept = swept.unwrap();
    assert_eq!((swept.blobs, swept.deleted, early), (1, 0, false));
    let fetched = fetch(&farm, &upload.path, 0).await;
    assert_eq!(
        zstd::decode_all(&*fetched).unwrap(),
        nar::of_file(b"a source")
    );
}

/// A coordinator that is killed between sealing and committing leaves blobs that nobody names: the
/// next one deletes them some time after its start. The agent, which comes only then, sends
/// everything again, and nothing is built twice.
#[tokio::test]
async fn what_a_killed_coordinator_left_goes_later() {
    let dir = tempfile::tempdir().unwrap();
    let datastore = Arc::new(GatedDatastore::new(sqlite(dir.path())));
    let setup = Setup {
        datastore: Arc::clone(&datastore) as _,
        ..on_disk(dir.path()).await
    };
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    let one = derivation("one", &[]);
    let build = farm.submit(&[&one]).await[0];
    let attempt = agent.take().await.attempt;
    let out = made("out", b"one", &[]);
    agent.upload(attempt, &out).await;
    datastore.commit.close();
    tokio::select! {
        _ = agent.report(attempt, succeeded(&[&out], 0)) => panic!("nothing is committed"),
        () = datastore.commit.is_reached() => {}
    }
    let door = farm.kill().await;
    // The commit never comes to the database.
    datastore.commit.tear_down();
    drop(datastore);

    let clock = Arc::new(ManualClock::new());
    let mut setup = on_disk(dir.path()).await;
    setup.clock = Arc::clone(&clock) as _;
    setup.claim = grange_interfaces::Claim::Force;
    let artifacts = Arc::clone(&setup.artifacts);
    assert_eq!(blobs(&*artifacts).await, 1);
    let farm = setup.behind(door).start().await;
    crate::farm::until(|| async {
        clock.advance(Duration::from_mins(1));
        blobs(&*artifacts).await == 0
    })
    .await;
    assert_eq!(agent.exchange(&[attempt], 0).await.unwrap().drop, []);
    let refusal = agent.report(attempt, succeeded(&[&out], 0)).await;
    assert_eq!(refusal.unwrap_err().fault, Fault::Conflict);
    assert_eq!(agent.upload_offset(attempt, &out).await, Ok(0));
    agent
        .append(attempt, &out, 0, body_of(out.file.clone()))
        .await
        .unwrap();
    agent.report(attempt, succeeded(&[&out], 0)).await.unwrap();
    let view = farm.view(build).await;
    assert_eq!(
        (view.summary.state, view.attempts.len()),
        (BuildState::Succeeded, 1)
    );
}

/// Two at once would each delete what the other has counted.
#[tokio::test]
async fn one_sweep_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let datastore = Arc::new(GatedDatastore::new(sqlite(dir.path())));
    let setup = Setup {
        datastore: Arc::clone(&datastore) as _,
        ..on_disk(dir.path()).await
    };
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    build_again(&farm, &mut agent, &derivation("one", &[]), b"first", b"").await;
    datastore.items.close();
    let other = async {
        datastore.items.is_reached().await;
        let refusal = farm.coordinator.sweep(true).await.unwrap_err();
        datastore.items.open();
        refusal
    };
    let (swept, refusal) =
        within(async { tokio::join!(farm.coordinator.sweep(true), other) }).await;
    assert_eq!(swept.unwrap().deleted, 0);
    assert_eq!(refusal.fault, Fault::Busy);
    farm.coordinator.sweep(true).await.unwrap();
}

/// The log of an attempt that nobody reported, or that did not end its build, is kept as long as somebody can ask for it.
#[tokio::test]
async fn logs_that_nobody_can_ask_for_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = on_disk(dir.path()).await;
    setup.config.sweep_chunk = 1;
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    let canceled = farm.submit(&[&derivation("canceled", &[])]).await[0];
    let first = agent.take().await.attempt;
    agent.log(first, 0, b"until it was canceled").await.unwrap();
    farm.client.cancel(vec![canceled]).await.unwrap();
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let second = agent.take().await.attempt;
    agent
        .log(second, 0, b"until its set-up failed")
        .await
        .unwrap();
    let failed = Report::SetupFailed {
        missing: Vec::new(),
        problem: "other".to_owned(),
        message: "no".to_owned(),
    };
    agent.report(second, failed).await.unwrap();
    assert_eq!(farm.coordinator.sweep(true).await.unwrap().unreferenced, 0);
    let read = read_attempt(&farm, build, Some(second), 0).await;
    assert_eq!(read, b"until its set-up failed");

    // What did not end a build is forgotten.
    let door = farm.kill().await;
    let farm = on_disk(dir.path()).await.behind(door).start().await;
    let mut other = farm.agent().await;
    let third = other.take().await.attempt;
    other.log(third, 0, b"going on").await.unwrap();
    let looked = farm.coordinator.sweep(false).await.unwrap();
    let length = b"until its set-up failed".len() as u64;
    assert_eq!((looked.unreferenced, looked.bytes), (1, length));
    assert_eq!(farm.coordinator.sweep(true).await.unwrap().deleted, 1);
    assert_eq!(farm.coordinator.sweep(true).await.unwrap().unreferenced, 0);
    assert_eq!(other.log_offset(third).await, Ok(8));
    let read = read_attempt(&farm, canceled, Some(first), 0).await;
    assert_eq!(read, b"until it was canceled");
}
