//! A coordinator ends, and another goes on from the same files.

use std::path::Path;
use std::sync::Arc;

use grange_artifacts_dir::ArtifactsDir;
use grange_coordinator::client::{Client, LogPiece};
use grange_interfaces::{Fault, Peer};
use grange_model::BuildState;
use grange_store_sqlite::{SqliteConfig, SqliteDatastore};

use crate::agent::{made, succeeded};
use crate::farm::{Setup, broken_body, derivation, within};

/// A coordinator on the files of a directory, once an earlier one has let them go.
pub(crate) async fn on_disk(dir: &Path) -> Setup {
    let open = || ArtifactsDir::open(dir.join("artifacts")).ok();
    let mut artifacts = None;
    within(async {
        while artifacts.is_none() {
            tokio::task::yield_now().await;
            artifacts = open();
        }
    })
    .await;
    let datastore = SqliteDatastore::open(dir.join("db"), SqliteConfig::default()).unwrap();
    Setup {
        datastore: Arc::new(datastore),
        artifacts: Arc::new(artifacts.unwrap()),
        ..Setup::default()
    }
}

/// An agent keeps its attempt, its log and its uploads, and reports to the new coordinator.
#[tokio::test]
async fn a_build_goes_on_through_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let farm = on_disk(dir.path()).await.start().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", &[7; 10_000], &[]);
    agent.log(attempt, 0, b"before, ").await.unwrap();
    let cut = broken_body(out.file[..5].to_vec());
    agent.append(attempt, &out, 0, cut).await.unwrap_err();
    let door = farm.kill().await;
    assert_eq!(
        agent.log_offset(attempt).await.unwrap_err().fault,
        Fault::Busy
    );

    let farm = on_disk(dir.path()).await.behind(door).start().await;
    // A new lease; nothing is assigned anew and nothing is dropped.
    let answer = agent.exchange(&[attempt], 0).await.unwrap();
    assert!(
        answer.assign.is_empty() && answer.drop.is_empty(),
        "{answer:?}"
    );
    assert_eq!(farm.state(build).await, BuildState::Running);
    assert_eq!(agent.log_offset(attempt).await, Ok(8));
    agent.log(attempt, 8, b"after").await.unwrap();
    assert_eq!(agent.upload_offset(attempt, &out).await, Ok(5));
    let rest = crate::farm::body_of(out.file[5..].to_vec());
    agent.append(attempt, &out, 5, rest).await.unwrap();
    agent.report(attempt, succeeded(&[&out], 13)).await.unwrap();
    let door = farm.kill().await;

    let farm = on_disk(dir.path()).await.behind(door).start().await;
    let view = farm.view(build).await;
    assert_eq!(
        (view.summary.state, view.attempts.len()),
        (BuildState::Succeeded, 1)
    );
    assert_eq!(
        crate::logs::read(&farm.client, build).await,
        b"before, after"
    );
    let path = grange_derivation::StorePath::parse_any(&view.outputs[0].path).unwrap();
    let place = dir.path().join("out");
    farm.client.fetch(&path, &place).await.unwrap();
    assert_eq!(std::fs::read(place).unwrap(), [7; 10_000]);
    let late = agent.report(attempt, succeeded(&[&out], 13)).await;
    assert_eq!(late.unwrap_err().fault, Fault::Conflict);
}

/// A coordinator that was killed after it sealed a log and before it committed the result does not
/// know the log any more; the agent sends it once more.
#[tokio::test]
async fn a_result_that_was_not_committed_is_reported_again() {
    let datastore = Arc::new(grange_testing::MemoryDatastore::new());
    let artifacts = Arc::new(grange_testing::MemoryArtifacts::new());
    let setup = |datastore: &Arc<grange_testing::MemoryDatastore>| Setup {
        datastore: Arc::clone(datastore) as _,
        artifacts: Arc::clone(&artifacts) as _,
        ..Setup::default()
    };
    let farm = setup(&datastore).start().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", b"one", &[]);
    agent.upload(attempt, &out).await;
    agent.log(attempt, 0, b"said").await.unwrap();
    datastore.hold();
    tokio::select! {
        _ = agent.report(attempt, succeeded(&[&out], 4)) => panic!("nothing is committed"),
        () = crate::farm::until(|| async { agent.log_offset(attempt).await.is_err() }) => {}
    }
    let door = farm.kill().await;
    let datastore = Arc::new(datastore.reopen());
    let farm = setup(&datastore).behind(door).start().await;
    agent.exchange(&[attempt], 0).await.unwrap();
    let refusal = agent
        .report(attempt, succeeded(&[&out], 4))
        .await
        .unwrap_err();
    assert_eq!(refusal.fault, Fault::Conflict);
    assert_eq!(
        agent.upload_offset(attempt, &out).await,
        Ok(out.said.file_size)
    );
    agent.log(attempt, 0, b"said").await.unwrap();
    agent.report(attempt, succeeded(&[&out], 4)).await.unwrap();
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
    assert_eq!(crate::logs::read(&farm.client, build).await, b"said");
}

/// Whoever follows a log across restarts is given each byte once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_followed_through_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut farm = on_disk(dir.path()).await.start().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let client = Client::new(Arc::clone(&farm.door) as _, Peer::Local);
    let reading = tokio::spawn(async move {
        let mut reader = client.log(build, 0, true);
        let (mut all, mut attempts) = (Vec::new(), 0);
        while let Some(piece) = reader.next().await.unwrap() {
            match piece {
                LogPiece::Bytes(bytes) => all.extend_from_slice(&bytes),
                LogPiece::Attempt(_) => attempts += 1,
            }
        }
        (all, attempts)
    });
    let attempt = agent.take().await.attempt;
    let mut said = Vec::new();
    for round in 0..6_u8 {
        for piece in 0..5 {
            let bytes = vec![round * 5 + piece; 3_000];
            agent.log(attempt, said.len() as u64, &bytes).await.unwrap();
            said.extend(bytes);
        }
        let door = farm.kill().await;
        farm = on_disk(dir.path()).await.behind(door).start().await;
        agent.exchange(&[attempt], 0).await.unwrap();
    }
    let out = made("out", b"", &[]);
    agent.upload(attempt, &out).await;
    agent
        .report(attempt, succeeded(&[&out], said.len()))
        .await
        .unwrap();
    let (all, attempts) = within(reading).await.unwrap();
    assert!(all == said, "{} of {} bytes", all.len(), said.len());
    assert_eq!(attempts, 1);
}

/// Passwords, tags and whether it is paused are there after a restart; a revoked password is not.
#[tokio::test]
async fn agents_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let farm = on_disk(dir.path()).await.start().await;
    let (mut agent, mut gone) = (farm.agent().await, farm.agent().await);
    farm.client.pause_agent(agent.id, true).await.unwrap();
    farm.client.revoke_passwords(gone.id).await.unwrap();
    let door = farm.kill().await;
    let farm = on_disk(dir.path()).await.behind(door).start().await;
    agent.exchange(&[], 0).await.unwrap();
    assert_eq!(
        gone.exchange(&[], 0).await.unwrap_err().fault,
        Fault::Forbidden
    );
    assert!(farm.client.agent(agent.id).await.unwrap().paused);
}

/// What broke off before the start is of no use; logs are.
#[tokio::test]
async fn a_start_sweeps_what_is_void() {
    let dir = tempfile::tempdir().unwrap();
    let farm = on_disk(dir.path()).await.start().await;
    let builds = farm
        .submit(&[&derivation("one", &[]), &derivation("two", &[])])
        .await;
    let mut agent = farm.agent().await;
    let first = agent.exchange(&[], 0).await.unwrap().assign;
    let out = made("out", b"out", &[]);
    for assignment in &first {
        agent.upload(assignment.attempt, &out).await;
        agent.log(assignment.attempt, 0, b"said").await.unwrap();
    }
    farm.client.cancel(vec![builds[0]]).await.unwrap();
    let door = farm.kill().await;
    let setup = on_disk(dir.path()).await.behind(door);
    let artifacts = Arc::clone(&setup.artifacts);
    let farm = setup.start().await;
    use futures::TryStreamExt;
    let uploads: Vec<_> = artifacts.uploads().try_collect().await.unwrap();
    assert_eq!(uploads.len(), 3, "{uploads:?}");
    assert_eq!(crate::logs::read(&farm.client, builds[0]).await, b"said");
}
