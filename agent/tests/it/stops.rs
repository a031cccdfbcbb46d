//! Builds that nobody wants any more.

use crate::builder::Play;
use crate::rig::{Rig, id};

#[tokio::test(start_paused = true)]
async fn a_dropped_build_is_stopped_and_its_files_are_deleted() {
    let rig = Rig::new();
    rig.play("long", Play::Hang(vec!["said".into()]));
    rig.assign(1, "long");
    let running = rig.start();
    rig.farm
        .until("it says something", |state| state.logs.contains_key(&id(1)))
        .await;
    assert!(!rig.is_clean());
    rig.farm.change(|state| state.counted.clear());
    rig.idle(&running).await;
    assert_eq!(*rig.player.stopped.lock().unwrap(), 1);
    assert_eq!(running.agent.status().totals.dropped, 1);
    assert!(rig.farm.state().reports.is_empty());

    rig.assign(2, "next");
    rig.report(2).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_nobody_wants_when_it_is_prepared_is_dropped() {
    let rig = Rig::new();
    rig.assign(1, "a");
    let gone =
        grange_interfaces::Refusal::new(grange_interfaces::Fault::NotFound, "no such attempt");
    rig.farm.state().refuse.push_back(("job", gone));
    let running = rig.start();
    rig.farm
        .until("it asks", |state| state.calls.contains(&"job"))
        .await;
    rig.farm.change(|state| state.counted.clear());
    rig.idle(&running).await;
    assert!(rig.player.built().is_empty());
    running.stop().await;
}
