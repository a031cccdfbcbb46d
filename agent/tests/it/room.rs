//! Room for inputs and outputs.

use crate::rig::{Rig, derivation, item};

/// An agent that wants a million bytes to be free builds one derivation, with one input that it has
/// and one that it fetches.
async fn build(rig: &Rig) {
    let (here, there) = (item("here"), item("there"));
    rig.store.add(&here, b"1", &[]);
    rig.store.add(&item("garbage"), b"2", &[]);
    let inputs = vec![rig.offer(&there, b"3", &[]), rig.offer(&here, b"1", &[])];
    rig.assign_with(1, &derivation("a"), inputs, vec![]);
    let running = rig.start();
    rig.report(1).await;
    rig.idle(&running).await;
    assert_eq!(running.agent.status().totals.succeeded, 1);
    running.stop().await;
}

fn wants_a_million(free: u64) -> Rig {
    let mut rig = Rig::new();
    rig.config.min_free = Some(1_000_000);
    *rig.store.free.lock().unwrap() = free;
    rig
}

#[tokio::test(start_paused = true)]
async fn garbage_goes_before_inputs_are_fetched() {
    let rig = wants_a_million(400_000);
    build(&rig).await;
    let (here, there) = (item("here"), item("there"));
    let mut keep = vec![here.clone(), there, derivation("a").path];
    keep.sort();
    let collected = rig.store.collected.lock().unwrap();
    assert_eq!(*collected, [(600_000, keep, true)]);
    assert!(rig.store.has(&here) && !rig.store.has(&item("garbage")));
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_where_enough_is_free_or_nobody_says_so() {
    for rig in [wants_a_million(1_000_000), {
        let rig = Rig::new();
        *rig.store.free.lock().unwrap() = 0;
        rig
    }] {
        build(&rig).await;
        assert!(rig.store.collected.lock().unwrap().is_empty());
        assert!(rig.store.has(&item("garbage")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_deletes_nothing() {
    let mut rig = wants_a_million(0);
    rig.config.min_free_dry_run = true;
    build(&rig).await;
    assert!(!rig.store.collected.lock().unwrap()[0].2);
    assert!(rig.store.has(&item("garbage")));
}

/// Outputs are kept until they are spooled, inputs until they are used, also from what another attempt
/// collects.
#[tokio::test(start_paused = true)]
async fn what_other_attempts_need_is_kept() {
    use crate::builder::Play;

    let mut rig = wants_a_million(0);
    rig.config.parallel = 1;
    let first = derivation("first");
    let here = item("here");
    rig.store.add(&here, b"1", &[]);
    let inputs = vec![rig.offer(&here, b"1", &[])];
    rig.play("first", Play::Hang(vec![]));
    rig.assign_with(1, &first, inputs, vec![]);
    let running = rig.start();
    rig.farm
        .until("a build", |_| !rig.player.jobs.lock().unwrap().is_empty())
        .await;
    *rig.store.free.lock().unwrap() = 0;
    rig.assign(2, "second");
    rig.farm
        .until("more garbage", |_| {
            rig.store.collected.lock().unwrap().len() == 2
        })
        .await;
    let (_, keep, _) = rig.store.collected.lock().unwrap()[1].clone();
    for path in [&here, first.output("out").unwrap()] {
        assert!(keep.contains(path), "{path} is not among {keep:?}");
    }
    running.stop().await;
}
