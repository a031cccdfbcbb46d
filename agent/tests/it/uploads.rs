//! Uploads that do not go at once.

use std::time::Duration;

use grange_interfaces::message::Report;
use grange_interfaces::{Fault, Refusal};

use crate::builder::Play;
use crate::rig::{Rig, id};

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_breaks_off_goes_on_where_it_was() {
    let rig = Rig::new();
    rig.play("big", Play::Make(vec![], noise(2_000_000)));
    rig.assign(1, "big");
    rig.farm.state().cuts.extend([700_000, 500_000]);
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    let calls = rig.farm.state().calls.clone();
    let count = |kind| calls.iter().filter(|call| **call == kind).count();
    assert_eq!(
        (count("append-upload"), count("upload-offset")),
        (3, 2),
        "{calls:?}"
    );
    assert_eq!(rig.player.built().len(), 1);
    rig.idle(&running).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_is_away_for_a_while_gets_the_result_later() {
    let rig = Rig::new();
    rig.assign(1, "a");
    rig.assign(2, "b");
    let running = rig.start();
    rig.farm
        .until("it prepares", |state| state.calls.contains(&"job"))
        .await;
    rig.farm.change(|state| state.unreachable = true);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let status = running.agent.status();
    assert!(!status.connected && status.problem.is_some());
    assert!(!rig.player.built().is_empty(), "builds go on");
    rig.farm.change(|state| state.unreachable = false);
    rig.report(1).await;
    rig.report(2).await;
    assert_eq!(rig.player.built().len(), 2, "nothing was built twice");
    rig.idle(&running).await;
    assert!(running.agent.status().connected);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_without_room_is_tried_again_when_it_says() {
    let rig = Rig::new();
    rig.assign(1, "a");
    let full = Refusal::busy("the disk is full", Duration::from_secs(20));
    rig.farm.state().refuse.push_back(("append-upload", full));
    let running = rig.start();
    let before = tokio::time::Instant::now();
    rig.report(1).await;
    assert!(before.elapsed() >= Duration::from_secs(20));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_about_the_offset_is_none_about_the_attempt() {
    let rig = Rig::new();
    rig.assign(1, "a");
    let conflict = Refusal::new(Fault::Conflict, "the upload ends elsewhere");
    rig.farm
        .state()
        .refuse
        .push_back(("append-upload", conflict));
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    assert_eq!(rig.player.built().len(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_coordinator_lost_before_the_report_is_sent_again() {
    let rig = Rig::new();
    rig.play("a", Play::Make(vec![], noise(1000)));
    rig.assign(1, "a");
    rig.farm.state().refuse_reports.push_back(Fault::Conflict);
    let running = rig.start();
    rig.farm
        .until("the output is there", |state| !state.uploads.is_empty())
        .await;
    rig.farm.change(|state| state.uploads.clear());
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    assert_eq!(rig.farm.state().uploads.len(), 1);
    assert!(
        rig.farm
            .state()
            .uploads
            .keys()
            .all(|(attempt, output, _)| { *attempt == id(1) && output == "out" })
    );
    assert_eq!(rig.player.built().len(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_written_is_not_lost() {
    let rig = Rig::new();
    rig.assign(1, "a");
    // Where the output is to be put, nothing can be put.
    let in_the_way = rig.state_dir().join("attempts/1.1.0/0.nar.zst");
    std::fs::create_dir_all(&in_the_way).unwrap();
    let running = rig.start();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(rig.player.built().len(), 1);
    assert!(rig.farm.state().reports.is_empty());
    std::fs::remove_dir(&in_the_way).unwrap();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    assert_eq!(rig.player.built().len(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_answered_is_given_up() {
    let rig = Rig::new();
    rig.assign(1, "a");
    rig.farm.state().hang.push_back("job");
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    let jobs = rig
        .farm
        .state()
        .calls
        .iter()
        .filter(|call| **call == "job")
        .count();
    assert_eq!(jobs, 2);
    running.stop().await;
}
