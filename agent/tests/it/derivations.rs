//! A builder that wants all that a derivation refers to in its store.

use std::sync::Arc;

use bytes::Bytes;
use grange_derivation::{Builder, Instantiated, StoreDir, StorePath};
use grange_interfaces::message::Report;

use crate::builder::Play;
use crate::rig::{Rig, item};

/// Three derivations, of which the first has a source, and each further one needs that before.
fn chain(source: &StorePath) -> [Instantiated; 3] {
    let author = |name| Builder::new(&StoreDir::guix(), name, "x86_64-linux", "/bin/sh");
    let base = author("base").source(source.clone()).instantiate().unwrap();
    let middle = author("middle").input(&base, &["out"]).instantiate();
    let middle = middle.unwrap();
    let top = author("top").input(&middle, &["out"]).instantiate();
    [base, middle, top.unwrap()]
}

fn rig(texts: &[&Instantiated]) -> Rig {
    let mut rig = Rig::new();
    Arc::get_mut(&mut rig.player).unwrap().offers.derivations = true;
    for one in texts {
        let text = one.text.clone();
        let path = one.path.to_string();
        rig.farm
            .change(|state| state.derivations.insert(path, text));
    }
    rig
}

#[tokio::test(start_paused = true)]
async fn what_a_derivation_refers_to_comes_first_and_once() {
    let source = item("source");
    let [base, middle, top] = chain(&source);
    let rig = rig(&[&base, &middle]);
    rig.offer(&source, b"the source", &[]);
    for attempt in [1, 2] {
        rig.play(
            "top",
            Play::Make(vec![Bytes::from("said\n")], vec![attempt]),
        );
    }
    rig.assign_with(1, &top, vec![], vec![]);
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    let expected = [source, base.path, middle.path];
    assert_eq!(*rig.store.imported.lock().unwrap(), expected);
    rig.idle(&running).await;

    rig.assign_with(2, &top, vec![], vec![]);
    assert!(matches!(rig.report(2).await, Report::Succeeded { .. }));
    assert_eq!(*rig.store.imported.lock().unwrap(), expected);
    let calls = rig.farm.state().calls.clone();
    let count = |kind| calls.iter().filter(|call| **call == kind).count();
    assert_eq!((count("derivations"), count("items")), (2, 1), "{calls:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_nobody_has_is_reported_as_missing() {
    let source = item("source");
    let [base, middle, top] = chain(&source);
    let rig = rig(&[&base, &middle]);
    rig.assign_with(1, &top, vec![], vec![]);
    let running = rig.start();
    let Report::SetupFailed { missing, .. } = rig.report(1).await else {
        panic!("it cannot be built");
    };
    assert_eq!(missing, [source.to_string()]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_text_of_another_derivation_is_not_taken() {
    let [base, middle, top] = chain(&item("source"));
    let rig = rig(&[&base]);
    let (path, text) = (middle.path.to_string(), base.text.clone());
    rig.farm
        .change(|state| state.derivations.insert(path, text));
    rig.assign_with(1, &top, vec![], vec![]);
    let running = rig.start();
    let Report::SetupFailed { message, .. } = rig.report(1).await else {
        panic!("it cannot be built");
    };
    assert!(message.contains("middle.drv"), "{message}");
    assert!(rig.store.imported.lock().unwrap().is_empty());
    running.stop().await;
}
