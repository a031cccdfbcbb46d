//! Agents that end and come back.

use std::time::Duration;

use bytes::Bytes;
use grange_agent::AgentError;
use grange_interfaces::message::{Phase, Report};
use grange_interfaces::{Fault, Stop};

use crate::builder::Play;
use crate::rig::{Rig, Running, id};

/// An agent that has built `a` and cannot send it.
async fn stuck(rig: &Rig) -> Running {
    rig.play(
        "a",
        Play::Make(vec![Bytes::from("said\n")], vec![3; 100_000]),
    );
    rig.assign(1, "a");
    let running = rig.start();
    rig.farm
        .until("it prepares", |state| state.calls.contains(&"job"))
        .await;
    rig.farm.change(|state| state.unreachable = true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(rig.state_dir().join("attempts/1.1.0/result.json").exists());
    running
}

#[tokio::test(start_paused = true)]
async fn a_finished_result_survives_a_killed_agent() {
    let rig = Rig::new();
    stuck(&rig).await.kill().await;
    rig.farm.change(|state| {
        state.unreachable = false;
        state.exchanges.clear();
    });
    let running = rig.start();
    assert!(matches!(
        rig.report(1).await,
        Report::Succeeded { log_size: 5, .. }
    ));
    assert_eq!(rig.player.built().len(), 1, "it was not built again");
    let first = rig.farm.state().exchanges[0].clone();
    assert_eq!(first.attempts.len(), 1);
    assert_eq!(
        (first.attempts[0].attempt, first.attempts[0].phase),
        (id(1), Phase::Uploading)
    );
    rig.idle(&running).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_finished_result_survives_a_stopped_agent_and_is_dropped_if_nobody_wants_it() {
    let rig = Rig::new();
    stuck(&rig).await.stop().await;
    rig.farm.change(|state| {
        state.unreachable = false;
        state.counted.clear();
    });
    let running = rig.start();
    rig.farm
        .until("it is named", |state| {
            state.exchanges.iter().any(|e| !e.attempts.is_empty())
        })
        .await;
    rig.idle(&running).await;
    assert!(rig.farm.state().reports.is_empty());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_result_is_built_again() {
    for damage in ["0.nar.zst", "result.json", "log"] {
        let rig = Rig::new();
        stuck(&rig).await.kill().await;
        let file = rig.state_dir().join("attempts/1.1.0").join(damage);
        assert!(file.exists(), "{damage}");
        std::fs::write(file, "").unwrap();
        rig.farm.change(|state| state.unreachable = false);
        let running = rig.start();
        assert!(
            matches!(rig.report(1).await, Report::Succeeded { .. }),
            "{damage}"
        );
        assert_eq!(rig.player.built().len(), 2, "{damage}");
        rig.idle(&running).await;
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_left_unfinished_is_deleted_if_nobody_wants_it() {
    let rig = Rig::new();
    std::fs::create_dir_all(rig.state_dir().join("attempts/9.9.9")).unwrap();
    std::fs::write(rig.state_dir().join("attempts/9.9.9/log"), "said").unwrap();
    let running = rig.start();
    rig.idle(&running).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_agent_on_one_state_directory_is_refused() {
    let rig = Rig::new();
    let running = rig.start();
    rig.farm
        .until("it runs", |state| !state.exchanges.is_empty())
        .await;
    let error = rig.agent().unwrap().run(Stop::never()).await.unwrap_err();
    assert!(matches!(error, AgentError::Locked(_)), "{error}");
    assert_eq!(error.fault(), Fault::Operator);
    assert!(
        error
            .to_string()
            .contains("another agent is using the state directory")
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_session_elsewhere_ends_the_run() {
    let mut rig = Rig::new();
    let running = rig.start();
    rig.farm
        .until("it runs", |state| !state.exchanges.is_empty())
        .await;
    rig.config.state_dir = rig.dir.path().join("elsewhere");
    tokio::time::sleep(Duration::from_millis(5)).await;
    let newer = rig.start();
    let error = running.end().await.unwrap_err();
    assert!(matches!(error, AgentError::Superseded(_)), "{error}");
    newer.stop().await;
}
