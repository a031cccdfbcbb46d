//! Coordinators that say no.

use std::time::Duration;

use grange_agent::AgentError;
use grange_interfaces::message::Report;
use grange_interfaces::{Fault, Refusal};

use crate::rig::Rig;

#[tokio::test(start_paused = true)]
async fn a_refused_report_ends_the_attempt() {
    for fault in [Fault::Conflict, Fault::NotFound] {
        let rig = Rig::new();
        rig.assign(1, "a");
        rig.farm.state().refuse_reports.push_back(fault);
        let running = rig.start();
        // The coordinator forgets the attempt when it refuses.
        rig.farm
            .until("the report is refused", |state| {
                state.refuse_reports.is_empty()
            })
            .await;
        rig.farm.change(|state| state.counted.clear());
        rig.idle(&running).await;
        assert_eq!(running.agent.status().totals.dropped, 1);
        assert!(rig.farm.state().reports.is_empty());
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_can_never_be_taken_becomes_a_setup_failure() {
    let rig = Rig::new();
    rig.assign(1, "a");
    rig.farm.state().refuse_reports.push_back(Fault::Caller);
    let running = rig.start();
    let report = rig.report(1).await;
    let Report::SetupFailed {
        problem, message, ..
    } = report
    else {
        panic!("{report:?}")
    };
    assert_eq!(problem, "other");
    assert!(
        message.contains("the coordinator refused the result"),
        "{message}"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_report_that_finds_the_coordinator_busy_is_made_again() {
    let rig = Rig::new();
    rig.assign(1, "a");
    rig.farm
        .state()
        .refuse_reports
        .extend([Fault::Busy, Fault::Operator, Fault::Us]);
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_said_and_tried_again_until_it_is_right() {
    let rig = Rig::new();
    rig.farm.state().password = "another".into();
    rig.assign(1, "a");
    let running = rig.start();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let problem = running.agent.status().problem.clone().unwrap();
    assert!(problem.contains("the password is wrong"), "{problem}");
    let tries = rig
        .farm
        .state()
        .calls
        .iter()
        .filter(|call| **call == "exchange")
        .count();
    assert!((2..20).contains(&tries), "{tries} tries in ten minutes");
    rig.farm.change(|state| state.password = "secret".into());
    rig.report(1).await;
    assert_eq!(running.agent.status().problem, None);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_of_another_store_ends_the_run() {
    let rig = Rig::new();
    rig.farm.state().store_dirs = vec!["/nix/store".into()];
    let error = rig.start().end().await.unwrap_err();
    assert!(matches!(error, AgentError::Refused(_)));
    assert!(error.to_string().contains("/nix/store"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_too_old_ends_with_the_reason() {
    let rig = Rig::new();
    let old = Refusal::new(Fault::Caller, "this coordinator speaks versions 3 to 4");
    rig.farm.state().refuse.push_back(("hello", old));
    let error = rig.start().end().await.unwrap_err();
    assert_eq!(error.fault(), Fault::Caller);
    assert!(error.to_string().contains("versions 3 to 4"), "{error}");
}
