//! What builds say.

use bytes::Bytes;
use grange_interfaces::Fault;
use grange_interfaces::message::Report;

use crate::builder::Play;
use crate::rig::{Rig, id};

#[tokio::test(start_paused = true)]
async fn a_log_is_sent_while_the_build_runs() {
    let rig = Rig::new();
    rig.play(
        "long",
        Play::Hang(vec![Bytes::from("first\n"), Bytes::from("second\n")]),
    );
    rig.assign(1, "long");
    let running = rig.start();
    let whole = |state: &crate::farm::FarmState| {
        state
            .logs
            .get(&id(1))
            .is_some_and(|log| log == b"first\nsecond\n")
    };
    rig.farm.until("the log is there", whole).await;
    assert!(rig.farm.state().reports.is_empty());
    let calls = rig.farm.state().calls.clone();
    assert_eq!(
        calls.iter().filter(|call| **call == "append-log").count(),
        1,
        "both in one message"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn invalid_utf_8_comes_as_it_is() {
    let rig = Rig::new();
    let piece = Bytes::from_static(b"\xff\xfe\x00 \xc3\x28\n");
    rig.play("raw", Play::Make(vec![piece.clone()], vec![]));
    rig.assign(1, "raw");
    let running = rig.start();
    rig.report(1).await;
    assert_eq!(rig.farm.state().logs[&id(1)], piece);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sixty_megabytes_in_one_line_go_in_small_parts() {
    let rig = Rig::new();
    let piece = Bytes::from(vec![b'x'; 60_000]);
    rig.play("line", Play::Say(1000, piece));
    rig.assign(1, "line");
    let running = rig.start();
    let Report::Succeeded { log_size, .. } = rig.report(1).await else {
        panic!("it did not succeed")
    };
    assert_eq!(log_size, 60_000_000);
    assert!(
        rig.farm.state().logs[&id(1)]
            .iter()
            .all(|byte| *byte == b'x')
    );
    assert!(rig.farm.state().largest_log_body <= 1024 * 1024);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_breaks_off_goes_on_where_it_was() {
    let rig = Rig::new();
    rig.play("long", Play::Hang(vec![Bytes::from("0123456789")]));
    rig.assign(1, "long");
    rig.farm.state().cuts.extend([4, 3]);
    let running = rig.start();
    let whole = |state: &crate::farm::FarmState| {
        state
            .logs
            .get(&id(1))
            .is_some_and(|log| log == b"0123456789")
    };
    rig.farm.until("the log is there", whole).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_coordinator_lost_of_a_log_before_the_report_is_sent_again() {
    let rig = Rig::new();
    rig.play("a", Play::Make(vec![Bytes::from("0123456789")], vec![]));
    rig.assign(1, "a");
    rig.farm.state().refuse_reports.push_back(Fault::Conflict);
    let running = rig.start();
    rig.farm
        .until("the log is there", |state| !state.logs.is_empty())
        .await;
    rig.farm
        .change(|state| state.logs.get_mut(&id(1)).unwrap().truncate(3));
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    assert_eq!(rig.farm.state().logs[&id(1)], b"0123456789");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_build_that_begins_anew_after_a_restart_says_so_in_its_log() {
    begins_anew(false).await;
}

#[tokio::test(start_paused = true)]
async fn so_does_one_of_which_a_power_cut_has_left_nothing() {
    begins_anew(true).await;
}

async fn begins_anew(all_lost: bool) {
    let rig = Rig::new();
    rig.play("long", Play::Hang(vec![Bytes::from("0123456789")]));
    rig.assign(1, "long");
    let running = rig.start();
    let whole = |state: &crate::farm::FarmState| {
        state
            .logs
            .get(&id(1))
            .is_some_and(|log| log == b"0123456789")
    };
    rig.farm.until("the log is there", whole).await;
    running.kill().await;
    if all_lost {
        std::fs::remove_dir_all(rig.state_dir().join("attempts")).unwrap();
    }
    rig.play("long", Play::Make(vec![Bytes::from("anew")], vec![]));
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    let log = String::from_utf8(rig.farm.state().logs[&id(1)].clone()).unwrap();
    assert!(
        log.starts_with("0123456789\n[grange: the agent was restarted"),
        "{log}"
    );
    assert!(log.ends_with("]\nanew"), "{log}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_of_which_the_agent_lost_the_end_goes_on_behind_what_the_coordinator_has() {
    let rig = Rig::new();
    rig.play("long", Play::Hang(vec![Bytes::from("0123456789")]));
    rig.assign(1, "long");
    let running = rig.start();
    let whole = |state: &crate::farm::FarmState| {
        state
            .logs
            .get(&id(1))
            .is_some_and(|log| log == b"0123456789")
    };
    rig.farm.until("the log is there", whole).await;
    running.kill().await;
    let log = rig
        .state_dir()
        .join("attempts")
        .join(id(1).to_string())
        .join("log");
    std::fs::write(log, "0123").unwrap();
    rig.play("long", Play::Make(vec![Bytes::from("anew")], vec![]));
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    let log = String::from_utf8(rig.farm.state().logs[&id(1)].clone()).unwrap();
    assert!(
        log.starts_with("0123456789\n[grange:") && log.ends_with("anew"),
        "{log}"
    );
    running.stop().await;
}
