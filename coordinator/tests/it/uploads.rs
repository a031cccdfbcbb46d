//! Outputs on their way: cut, repeated, overlapping, another's.

use std::sync::Arc;

use grange_interfaces::{ArtifactStore, Fault};
use grange_model::BuildState;
use grange_testing::MemoryArtifacts;

use crate::agent::{Made, made, succeeded};
use crate::farm::{Farm, Setup, body_of, broken_body, derivation};

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn from(made: &Made, offset: usize) -> Vec<u8> {
    made.file[offset..].to_vec()
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_broke() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", &noise(50_000), &[]);
    assert_eq!(agent.upload_offset(attempt, &out).await, Ok(0));
    let cut = broken_body(out.file[..20_000].to_vec());
    agent.append(attempt, &out, 0, cut).await.unwrap_err();
    assert_eq!(agent.upload_offset(attempt, &out).await, Ok(20_000));

    // Repeated, overlapping, with a gap: nothing is taken, and the answer says where to go on.
    for offset in [0, 10_000, 19_999, 20_001, 49_000, 1 << 40, u64::MAX] {
        let begin = usize::try_from(offset.min(out.said.file_size)).unwrap();
        let body = body_of(from(&out, begin));
        let here = agent.append(attempt, &out, offset, body).await;
        assert_eq!(here, Ok(20_000), "{offset}");
    }
    // What is not whole is not taken, and is no lie: the rest is to be sent.
    let early = agent.report(attempt, succeeded(&[&out], 0)).await;
    assert_eq!(early.unwrap_err().fault, Fault::Conflict);
    assert_eq!(farm.state(build).await, BuildState::Running);
    assert_eq!(agent.upload_offset(attempt, &out).await, Ok(20_000));
}

#[tokio::test]
async fn resumed_it_is_whole() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", &noise(50_000), &[]);
    let cut = broken_body(out.file[..20_000].to_vec());
    agent.append(attempt, &out, 0, cut).await.unwrap_err();
    let rest = body_of(from(&out, 20_000));
    let size = agent.append(attempt, &out, 20_000, rest).await.unwrap();
    assert_eq!(size, out.said.file_size);
    agent.report(attempt, succeeded(&[&out], 0)).await.unwrap();
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
}

/// The two never mix: each append begins where the other has ended, or is told so.
#[tokio::test]
async fn two_at_once_are_one() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", &noise(300_000), &[]);
    let whole = || agent.append(attempt, &out, 0, body_of(from(&out, 0)));
    let (one, other) = tokio::join!(whole(), whole());
    assert_eq!(
        (one.unwrap(), other.unwrap()),
        (out.said.file_size, out.said.file_size)
    );
    agent.report(attempt, succeeded(&[&out], 0)).await.unwrap();
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
}

#[tokio::test]
async fn anothers_attempts_are_out_of_reach() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let (mut owner, mut thief) = (farm.agent().await, farm.agent().await);
    let attempt = owner.take().await.attempt;
    let out = made("out", b"mine", &[]);
    owner.upload(attempt, &out).await;
    let stolen = made("out", b"stolen", &[]);
    let refusals = [
        thief
            .append(attempt, &stolen, 0, body_of(from(&stolen, 0)))
            .await
            .err(),
        thief.upload_offset(attempt, &stolen).await.err(),
        thief.log(attempt, 0, b"stolen").await.err(),
        thief.log_offset(attempt).await.err(),
        thief.job(attempt).await.err(),
        thief.report(attempt, succeeded(&[&stolen], 0)).await.err(),
        thief.fail(attempt, "stolen").await.err(),
    ];
    for refusal in refusals {
        assert_eq!(refusal.unwrap().fault, Fault::Conflict);
    }
    // Naming it is of no use either: the thief is told to drop it, and nothing is lost.
    let told = thief.exchange(&[attempt], 0).await.unwrap();
    assert_eq!((told.drop, told.assign), (vec![attempt], Vec::new()));
    assert_eq!(owner.log_offset(attempt).await, Ok(0));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    owner.report(attempt, succeeded(&[&out], 0)).await.unwrap();
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
}

#[tokio::test]
async fn names_that_are_no_hashes_are_refused() {
    let farm = Farm::new().await;
    farm.submit(&[&derivation("one", &[])]).await;
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let good = made("out", b"x", &[]).said.file_hash;
    let bad = [
        String::new(),
        "log".into(),
        "../../etc".into(),
        good.to_uppercase(),
        format!("{good}0"),
    ];
    for hash in bad {
        let mut out = made("out", b"x", &[]);
        out.said.file_hash = hash;
        let body = body_of(from(&out, 0));
        let refusal = agent.append(attempt, &out, 0, body).await.unwrap_err();
        assert_eq!(refusal.fault, Fault::Caller);
        let refusal = agent.upload_offset(attempt, &out).await.unwrap_err();
        assert_eq!(refusal.fault, Fault::Caller);
    }
}

#[tokio::test]
async fn too_large_is_refused() {
    let mut setup = Setup::default();
    setup.config.max_output = 10_000;
    let farm = setup.start().await;
    farm.submit(&[&derivation("one", &[])]).await;
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", &noise(50_000), &[]);
    let refusal = agent.append(attempt, &out, 0, body_of(from(&out, 0))).await;
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.fault, Fault::Caller);
    assert!(
        refusal.message.contains("more than 10000 bytes"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_full_disk_is_busy_and_loses_nothing() {
    let artifacts = MemoryArtifacts::new();
    let setup = Setup {
        artifacts: Arc::new(artifacts.clone()),
        ..Setup::default()
    };
    let farm = setup.start().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", &noise(50_000), &[]);
    artifacts.set_room(Some(20_000));
    let refusal = agent.append(attempt, &out, 0, body_of(from(&out, 0))).await;
    let refusal = refusal.unwrap_err();
    assert_eq!(
        (refusal.fault, &*refusal.message),
        (Fault::Busy, "the coordinator's disk is full")
    );
    artifacts.set_room(None);
    let here = agent.upload_offset(attempt, &out).await.unwrap();
    assert_eq!(here, 20_000);
    let rest = body_of(from(&out, 20_000));
    agent.append(attempt, &out, here, rest).await.unwrap();

    // The disk's failure is not the agent's lie.
    artifacts.fail(1);
    let refusal = agent
        .report(attempt, succeeded(&[&out], 0))
        .await
        .unwrap_err();
    assert_eq!(refusal.fault, Fault::Operator, "{refusal}");
    agent.report(attempt, succeeded(&[&out], 0)).await.unwrap();
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
}

/// What was sent for an attempt that nobody wants any more is dropped once its agent is told.
#[tokio::test]
async fn uploads_of_void_attempts_are_dropped() {
    let artifacts = MemoryArtifacts::new();
    let setup = Setup {
        artifacts: Arc::new(artifacts.clone()),
        ..Setup::default()
    };
    let farm = setup.start().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    agent.upload(attempt, &made("out", b"x", &[])).await;
    farm.client.cancel(vec![build]).await.unwrap();
    assert_eq!(uploads(&artifacts).await, 1);
    assert_eq!(agent.exchange(&[attempt], 0).await.unwrap().drop, [attempt]);
    crate::farm::until(|| async { uploads(&artifacts).await == 0 }).await;
}

async fn uploads(artifacts: &MemoryArtifacts) -> usize {
    use futures::StreamExt;
    artifacts.uploads().count().await
}
