//! Inputs, from substitute servers.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::{Builder, StoreDir, StorePath};
use grange_interfaces::message::Report;
use grange_interfaces::{Body, ItemInfo, Upstream, UpstreamError};

use crate::rig::{Rig, derivation, item};
use crate::store::info;

/// What comes when a nar is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Give {
    These(&'static str),
    Breaks,
    Fails(UpstreamError),
}

/// Substitute servers in memory.
#[derive(Debug, Default)]
pub(crate) struct FakeUpstream {
    items: Mutex<BTreeMap<StorePath, Result<ItemInfo, UpstreamError>>>,
    /// One after the other.
    nars: Mutex<BTreeMap<StorePath, VecDeque<Give>>>,
    asked: Mutex<Vec<StorePath>>,
    fetched: Mutex<Vec<StorePath>>,
}

impl FakeUpstream {
    fn add(&self, path: &StorePath, contents: &'static str, references: &[StorePath]) {
        self.give(path, contents, references, [Give::These(contents)]);
    }

    /// An item of these contents, for which something else may come.
    fn give(
        &self,
        path: &StorePath,
        contents: &str,
        references: &[StorePath],
        nars: impl IntoIterator<Item = Give>,
    ) {
        let info = info(path, contents.as_bytes(), references);
        self.items.lock().unwrap().insert(path.clone(), Ok(info));
        self.nars
            .lock()
            .unwrap()
            .insert(path.clone(), nars.into_iter().collect());
    }

    fn fetched(&self) -> Vec<StorePath> {
        self.fetched.lock().unwrap().clone()
    }
}

#[async_trait]
impl Upstream for FakeUpstream {
    async fn find(&self, paths: &[StorePath]) -> Vec<Result<Option<ItemInfo>, UpstreamError>> {
        self.asked.lock().unwrap().extend(paths.iter().cloned());
        let items = self.items.lock().unwrap();
        paths
            .iter()
            .map(|path| items.get(path).cloned().transpose())
            .collect()
    }

    async fn nar(&self, info: &ItemInfo) -> Result<Body, UpstreamError> {
        self.fetched.lock().unwrap().push(info.path.clone());
        let next = {
            let mut nars = self.nars.lock().unwrap();
            nars.get_mut(&info.path).and_then(VecDeque::pop_front)
        };
        match next {
            None => Err(UpstreamError::Gone(info.path.clone())),
            Some(Give::Fails(error)) => Err(error),
            Some(Give::These(contents)) => {
                Ok(stream::iter([Ok(Bytes::from_static(contents.as_bytes()))]).boxed())
            }
            Some(Give::Breaks) => {
                let pieces = [
                    Ok(Bytes::from_static(b"co")),
                    Err(io::Error::other("it stalls")),
                ];
                Ok(stream::iter(pieces).boxed())
            }
        }
    }
}

fn rig() -> (Rig, Arc<FakeUpstream>) {
    let mut rig = Rig::new();
    let upstream = Arc::new(FakeUpstream::default());
    rig.upstream = Some(Arc::clone(&upstream));
    (rig, upstream)
}

/// Has a build tried that lacks these, with these offered: the report.
async fn built(
    rig: &Rig,
    offered: Vec<grange_interfaces::message::ItemView>,
    missing: &[&StorePath],
) -> Report {
    let missing = missing.iter().map(ToString::to_string).collect();
    rig.assign_with(1, &derivation("a"), offered, missing);
    let running = rig.start();
    let report = rig.report(1).await;
    running.stop().await;
    report
}

fn setup_failure(report: Report) -> (String, Vec<String>, String) {
    match report {
        Report::SetupFailed {
            problem,
            missing,
            message,
        } => (problem, missing, message),
        other => panic!("{other:?}"),
    }
}

fn down() -> UpstreamError {
    UpstreamError::Unavailable {
        server: "http://up/".into(),
        why: "it is on fire".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_coordinator_lacks_comes_with_all_that_it_refers_to() {
    let (rig, upstream) = rig();
    let [root, middle, leaf] = ["root", "middle", "leaf"].map(item);
    let [here, offered, unasked] = ["here", "offered", "unasked"].map(item);
    upstream.add(
        &root,
        "root",
        &[middle.clone(), offered.clone(), root.clone()],
    );
    upstream.add(
        &middle,
        "middle",
        &[leaf.clone(), here.clone(), unasked.clone()],
    );
    upstream.add(&leaf, "leaf", &[]);
    rig.store.add(&here, b"here", &[]);
    let view = rig.offer(&offered, b"offered", &[]);
    // The coordinator has it, but did not know that it is needed.
    rig.offer(&unasked, b"unasked", &[]);
    let report = built(&rig, vec![view], &[&root]).await;
    assert!(matches!(report, Report::Succeeded { .. }), "{report:?}");
    let imported = rig.store.imported.lock().unwrap().clone();
    let place = |path: &StorePath| imported.iter().position(|one| one == path).unwrap();
    assert!(place(&leaf) < place(&middle) && place(&unasked) < place(&middle));
    assert!(place(&middle) < place(&root) && place(&offered) < place(&root));
    let inputs = rig.player.jobs.lock().unwrap()[0].inputs.clone();
    assert_eq!(inputs.len(), 6, "{inputs:?}");
    for path in [&root, &middle, &leaf, &here, &offered, &unasked] {
        assert!(inputs.contains(path), "{path}");
    }
    let mut fetched = upstream.fetched();
    fetched.sort();
    let mut expected = vec![root, middle, leaf];
    expected.sort();
    assert_eq!(fetched, expected);
}

#[tokio::test(start_paused = true)]
async fn only_what_nobody_has_is_missing() {
    let (rig, upstream) = rig();
    let [whole, broken, leaf, nobody] = ["whole", "broken", "leaf", "nobody"].map(item);
    upstream.add(&whole, "whole", &[]);
    // Nobody has what it refers to.
    upstream.add(&broken, "broken", std::slice::from_ref(&leaf));
    let report = built(&rig, vec![], &[&whole, &broken, &nobody]).await;
    let (problem, missing, _) = setup_failure(report);
    assert_eq!(problem, "missing-inputs");
    assert_eq!(missing, [broken.to_string(), nobody.to_string()]);
    assert!(upstream.fetched().is_empty(), "nothing comes in vain");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_could_not_be_asked_is_named() {
    let (rig, upstream) = rig();
    let root = item("root");
    upstream
        .items
        .lock()
        .unwrap()
        .insert(root.clone(), Err(down()));
    let (problem, missing, message) = setup_failure(built(&rig, vec![], &[&root]).await);
    assert_eq!(
        (problem.as_str(), missing),
        ("missing-inputs", vec![root.to_string()])
    );
    assert!(message.contains("on fire"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn sources_come_from_upstream_as_well() {
    let (rig, upstream) = rig();
    let source = item("source");
    upstream.add(&source, "source", &[]);
    let derivation = Builder::new(&StoreDir::guix(), "a", "x86_64-linux", "/bin/sh")
        .source(source.clone())
        .instantiate()
        .unwrap();
    rig.assign_with(1, &derivation, vec![], vec![]);
    let running = rig.start();
    let report = rig.report(1).await;
    assert!(matches!(report, Report::Succeeded { .. }), "{report:?}");
    assert!(rig.store.has(&source));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn upstream_comes_before_a_coordinator_that_would_ask_it_too() {
    let (rig, upstream) = rig();
    let [far, near] = ["far", "near"].map(item);
    upstream.add(&far, "contents", &[]);
    upstream.add(&near, "contents", &[]);
    let mut view = rig.offer(&far, b"contents", &[]);
    view.upstream = true;
    let other = rig.offer(&near, b"contents", &[]);
    let report = built(&rig, vec![view, other], &[]).await;
    assert!(matches!(report, Report::Succeeded { .. }), "{report:?}");
    assert_eq!(upstream.fetched(), [far]);
    let fetches = rig.farm.state().fetches.keys().cloned().collect::<Vec<_>>();
    assert_eq!(fetches, [near.to_string()]);
    assert!(
        upstream.asked.lock().unwrap().is_empty(),
        "the coordinator has said that it is there"
    );
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_fetches_for_an_agent_without_upstream() {
    let rig = Rig::new();
    let far = item("far");
    let mut view = rig.offer(&far, b"contents", &[]);
    // As it is before the coordinator has it.
    view.upstream = true;
    view.file_size = 0;
    view.file_hash = String::new();
    let report = built(&rig, vec![view], &[]).await;
    assert!(matches!(report, Report::Succeeded { .. }), "{report:?}");
    assert!(rig.store.has(&far));
}

#[tokio::test(start_paused = true)]
async fn servers_that_lie_or_stall_give_way_to_others() {
    for nars in [
        vec![
            Give::Breaks,
            Give::These("other!!!"),
            Give::These("contents"),
        ],
        vec![Give::These("contents, and more")],
        vec![Give::Breaks],
        vec![Give::Fails(down())],
        vec![Give::These("other!!!"); 9],
        vec![],
    ] {
        let (rig, upstream) = rig();
        let far = item("far");
        let whole = nars.len() == 3;
        upstream.give(&far, "contents", &[], nars);
        let mut view = rig.offer(&far, b"contents", &[]);
        (view.upstream, view.file_size) = (true, 0);
        view.file_hash.clear();
        let report = built(&rig, vec![view], &[]).await;
        assert!(matches!(report, Report::Succeeded { .. }), "{report:?}");
        assert!(rig.store.has(&far));
        let from_coordinator = rig.farm.state().fetches.contains_key(&far.to_string());
        assert_eq!(from_coordinator, !whole);
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_is_a_setup_failure_with_its_cause() {
    for (nars, says) in [
        (vec![Give::Breaks; 9], "stalls"),
        (vec![Give::Breaks], "stalls"),
        (vec![Give::These("other!!!"); 9], "another hash"),
        (vec![Give::Fails(down())], "on fire"),
        (vec![], "no substitute server has"),
    ] {
        let (rig, upstream) = rig();
        let [root, far] = ["root", "far"].map(item);
        upstream.give(&root, "contents", &[], nars.clone());
        let (problem, missing, message) = setup_failure(built(&rig, vec![], &[&root]).await);
        assert_eq!(
            (problem.as_str(), missing.len()),
            ("missing-inputs", 1),
            "{message}"
        );
        assert!(
            message.contains(says) && message.contains("root"),
            "{message}"
        );
        assert!(!rig.store.has(&root));

        // The coordinator's own fetch comes to nothing as well.
        let (rig, upstream) = self::rig();
        upstream.give(&far, "contents", &[], nars);
        let mut view = rig.offer(&far, b"contents", &[]);
        view.upstream = true;
        rig.farm.change(|state| state.items.clear());
        let (problem, _, message) = setup_failure(built(&rig, vec![view], &[]).await);
        assert_eq!(problem, "missing-inputs");
        assert!(message.contains(says), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_is_not_the_server_s_fault() {
    let (rig, upstream) = rig();
    let root = item("root");
    upstream.give(&root, "contents", &[], vec![Give::These("contents"); 9]);
    *rig.store.full.lock().unwrap() = true;
    let (problem, ..) = setup_failure(built(&rig, vec![], &[&root]).await);
    assert_eq!(problem, "disk-full");
    assert_eq!(upstream.fetched().len(), 1);
}
