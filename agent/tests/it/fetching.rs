//! Inputs, from the coordinator.

use grange_interfaces::message::Report;

use crate::rig::{Rig, derivation, item};

/// Bytes of which the compressed form is long.
fn contents() -> Vec<u8> {
    let mut state = 7u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..500_000).map(|_| next()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_item_that_breaks_off_goes_on_where_it_was() {
    let rig = Rig::new();
    let input = item("input");
    let view = rig.offer(&input, &contents(), &[]);
    rig.farm.state().cuts.extend([200_000, 0, 150_000]);
    rig.assign_with(1, &derivation("a"), vec![view], vec![]);
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    let offsets = rig.farm.state().fetches[&input.to_string()].clone();
    assert_eq!(offsets, [0, 200_000, 200_000, 350_000]);
    running.stop().await;
}

/// Of what the coordinator has fetched from a substitute server nobody knows how many bytes it has compressed.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_upstream_ends_where_its_nar_does() {
    let rig = Rig::new();
    let input = item("input");
    let mut view = rig.offer(&input, &contents(), &[]);
    view.upstream = true;
    view.file_size = view.nar_size;
    view.file_hash = view.nar_hash.clone();
    rig.farm.change(|state| {
        let (offered, _) = state.items.get_mut(&input.to_string()).unwrap();
        *offered = view.clone();
    });
    rig.farm.state().cuts.push_back(200_000);
    rig.assign_with(1, &derivation("a"), vec![view], vec![]);
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    let offsets = rig.farm.state().fetches[&input.to_string()].clone();
    assert_eq!(offsets, [0, 200_000]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_item_that_two_attempts_want_is_fetched_once() {
    let mut rig = Rig::new();
    rig.config.parallel = 2;
    let input = item("input");
    let view = rig.offer(&input, &contents(), &[]);
    rig.assign_with(1, &derivation("a"), vec![view.clone()], vec![]);
    rig.assign_with(2, &derivation("b"), vec![view], vec![]);
    let running = rig.start();
    rig.report(1).await;
    rig.report(2).await;
    assert_eq!(rig.farm.state().fetches[&input.to_string()], [0]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_gone_meanwhile_is_missing() {
    let rig = Rig::new();
    let input = item("input");
    let view = rig.offer(&input, b"contents", &[]);
    rig.farm.change(|state| state.items.clear());
    rig.assign_with(1, &derivation("a"), vec![view], vec![]);
    let running = rig.start();
    let report = rig.report(1).await;
    let Report::SetupFailed { missing, .. } = report else {
        panic!("{report:?}")
    };
    assert_eq!(missing, [input.to_string()]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_not_what_was_announced_is_refused() {
    let rig = Rig::new();
    let input = item("input");
    let mut view = rig.offer(&input, b"contents", &[]);
    view.nar_hash = "00".repeat(32);
    rig.assign_with(1, &derivation("a"), vec![view], vec![]);
    let running = rig.start();
    let report = rig.report(1).await;
    let Report::SetupFailed {
        problem, message, ..
    } = report
    else {
        panic!("{report:?}")
    };
    assert_eq!(problem, "other");
    assert!(message.contains("another hash"), "{message}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_is_not_offered_is_missing() {
    let rig = Rig::new();
    let (input, reference) = (item("input"), item("reference"));
    let view = rig.offer(&input, b"contents", std::slice::from_ref(&reference));
    rig.assign_with(1, &derivation("a"), vec![view], vec![]);
    let running = rig.start();
    let report = rig.report(1).await;
    let Report::SetupFailed { missing, .. } = report else {
        panic!("{report:?}")
    };
    assert_eq!(missing, [reference.to_string()]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_goes_away_during_a_fetch_is_waited_for() {
    let rig = Rig::new();
    let input = item("input");
    let view = rig.offer(&input, &contents(), &[]);
    rig.farm.state().cuts.extend([100_000]);
    rig.assign_with(1, &derivation("a"), vec![view], vec![]);
    let running = rig.start();
    rig.farm
        .until("it fetches", |state| !state.fetches.is_empty())
        .await;
    rig.farm.change(|state| state.unreachable = true);
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    rig.farm.change(|state| state.unreachable = false);
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    running.stop().await;
}
