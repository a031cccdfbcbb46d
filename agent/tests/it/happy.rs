//! What goes when all goes.

use bytes::Bytes;
use grange_agent::Totals;
use grange_derivation::{Builder, StoreDir};
use grange_interfaces::message::{Phase, Report};

use crate::builder::Play;
use crate::rig::{Rig, id, item};

#[tokio::test(start_paused = true)]
async fn a_build_with_inputs_outputs_and_a_log() {
    let rig = Rig::new();
    let library = item("library");
    let tool = item("tool");
    let inputs = vec![
        rig.offer(&library, b"the library", &[]),
        rig.offer(&tool, b"the tool", std::slice::from_ref(&library)),
    ];
    let derivation = Builder::new(&StoreDir::guix(), "both", "x86_64-linux", "/bin/sh")
        .source(tool.clone())
        .output("out")
        .output("lib")
        .instantiate()
        .unwrap();
    rig.play(
        "both",
        Play::Make(
            vec![Bytes::from("hello\n"), Bytes::from("world\n")],
            vec![7; 300_000],
        ),
    );
    rig.assign_with(1, &derivation, inputs, vec![]);
    let running = rig.start();
    let Report::Succeeded {
        outputs,
        log_size,
        usage,
    } = rig.report(1).await
    else {
        panic!("it did not succeed: {:?}", rig.farm.state().reports)
    };
    assert_eq!(
        outputs
            .iter()
            .map(|output| &output.name)
            .collect::<Vec<_>>(),
        ["lib", "out"]
    );
    assert_eq!(log_size, 12);
    assert!(usage.build_ms.is_some());
    assert_eq!(rig.farm.state().logs[&id(1)], b"hello\nworld\n");
    assert_eq!(
        *rig.store.imported.lock().unwrap(),
        [library.clone(), tool.clone()]
    );
    {
        let jobs = rig.player.jobs.lock().unwrap();
        assert_eq!(jobs[0].path, derivation.path);
        assert_eq!(*jobs[0].text, *derivation.text);
        assert_eq!(jobs[0].inputs, [library, tool]);
    }
    rig.idle(&running).await;
    let totals = Totals {
        succeeded: 1,
        ..Totals::default()
    };
    assert_eq!(running.agent.status().totals, totals);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_trivial_build_takes_few_messages() {
    let rig = Rig::new();
    rig.assign(1, "trivial");
    let running = rig.start();
    rig.report(1).await;
    rig.idle(&running).await;
    let calls = rig.farm.state().calls.clone();
    let count = |kind| calls.iter().filter(|call| **call == kind).count();
    assert_eq!(
        (count("job"), count("append-upload"), count("report")),
        (1, 1, 1),
        "{calls:?}"
    );
    assert_eq!(
        (
            count("upload-offset"),
            count("log-offset"),
            count("append-log")
        ),
        (0, 0, 0)
    );
    assert!(count("exchange") <= 4, "{calls:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_builds_run_one_at_a_time() {
    let rig = Rig::new();
    for slot in 0..20 {
        rig.assign(slot, &format!("build-{slot}"));
    }
    let running = rig.start();
    rig.farm
        .until("20 reports", |state| state.reports.len() == 20)
        .await;
    for exchange in &rig.farm.state().exchanges {
        let building = exchange
            .attempts
            .iter()
            .filter(|held| held.phase == Phase::Building);
        assert!(building.count() <= 1, "{exchange:?}");
    }
    assert_eq!(rig.player.built().len(), 20);
    rig.idle(&running).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_build_is_reported_with_its_log() {
    let rig = Rig::new();
    rig.play("bad", Play::Fail(vec![Bytes::from("error: no\n")]));
    rig.assign(1, "bad");
    let running = rig.start();
    let report = rig.report(1).await;
    assert!(
        matches!(
            &report,
            Report::Failed {
                kind: grange_model::FailureKind::Exit(1),
                log_size: 10,
                ..
            }
        ),
        "{report:?}"
    );
    rig.idle(&running).await;
    assert_eq!(running.agent.status().totals.failed, 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_says_what_runs() {
    let rig = Rig::new();
    rig.play("long", Play::Hang(vec![]));
    let derivation = rig.assign(1, "long");
    let running = rig.start();
    let mut status = running.agent.status();
    while status
        .attempts
        .first()
        .is_none_or(|attempt| attempt.phase != Phase::Building)
    {
        status = running.agent.status_after(&status).await;
    }
    assert!(status.connected && status.problem.is_none() && status.last_contact.is_some());
    assert_eq!(status.attempts[0].derivation, derivation.path.to_string());
    // The coordinator hears of it within a second.
    rig.farm
        .until("the coordinator knows", |state| {
            let last = state.exchanges.last();
            last.is_some_and(|last| {
                last.attempts
                    .iter()
                    .any(|held| held.phase == Phase::Building)
            })
        })
        .await;
    running.stop().await;
    assert_eq!(
        *rig.player.stopped.lock().unwrap(),
        1,
        "a stop waits for builds to have stopped"
    );
}

#[tokio::test(start_paused = true)]
async fn outputs_are_deleted_once_they_are_sent_if_that_is_wanted() {
    let mut rig = Rig::new();
    rig.config.delete_outputs = true;
    let derivation = rig.assign(1, "a");
    let running = rig.start();
    rig.report(1).await;
    rig.idle(&running).await;
    assert!(!rig.store.has(derivation.output("out").unwrap()));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn draining_ends_when_all_is_done() {
    let rig = Rig::new();
    rig.assign(1, "a");
    let running = rig.start();
    rig.farm
        .until("it is assigned", |state| state.calls.contains(&"job"))
        .await;
    running.agent.drain();
    running.end().await.unwrap();
    assert_eq!(rig.farm.state().reports.len(), 1);
    assert!(rig.is_clean());
}
