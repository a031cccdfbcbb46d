//! Imports that must not go well.

use std::io;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use grange_interfaces::{LocalStore, LocalStoreError};

use super::items::{Made, bytes_of_export, is_valid, made};
use crate::conformance::LocalStoreBench;
use crate::conformance::artifacts::body;

/// It is not there, and can still come.
async fn comes_all_the_same(store: &dyn LocalStore, item: Made) {
    assert!(!is_valid(store, item.path()).await, "it is valid");
    let item = item.import(store).await;
    assert!(
        bytes_of_export(store, item.path()).await == item.nar,
        "other bytes"
    );
}

/// "`import` verifies hash and size before the item becomes valid": the hash.
pub async fn import_refuses_another_hash(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    for size in [0, 2_000_000] {
        let item = made(&*store, "item", size, &[]);
        // In the file's contents, so that it is a nar all the same.
        let mut other = item.nar.clone();
        other[97] ^= 1;
        for wrong in [other, vec![7; item.nar.len()]] {
            let refused = store.import(&item.info, body(&wrong, 10_000)).await;
            let is_mismatch = matches!(refused, Err(LocalStoreError::Mismatch { .. }));
            assert!(is_mismatch, "{refused:?}");
        }
        comes_all_the_same(&*store, item).await;
    }
}

/// "`import` verifies hash and size before the item becomes valid": the size.
pub async fn import_refuses_another_size(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let item = made(&*store, "item", 2_000_000, &[]);
    let short = item.nar[..item.nar.len() - 8].to_vec();
    let long = [&item.nar[..], &[0; 8]].concat();
    for wrong in [short, long, Vec::new()] {
        let refused = store.import(&item.info, body(&wrong, 10_000)).await;
        let is_mismatch = matches!(refused, Err(LocalStoreError::Mismatch { .. }));
        assert!(is_mismatch, "{} bytes: {refused:?}", wrong.len());
    }
    // The bytes are right, but not as many as were announced.
    for change in [-8, 8] {
        let mut info = item.info.clone();
        info.nar_size = info.nar_size.saturating_add_signed(change);
        let refused = store.import(&info, item.body()).await;
        let is_mismatch = matches!(refused, Err(LocalStoreError::Mismatch { .. }));
        assert!(is_mismatch, "{change} bytes: {refused:?}");
    }
    comes_all_the_same(&*store, item).await;
}

/// "Demands that its references are valid."
pub async fn import_demands_references(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let there = made(&*store, "there", 0, &[]).import(&*store).await;
    let missing = made(&*store, "missing", 0, &[]);
    let item = made(&*store, "item", 0, &[&there, &missing]);
    match store.import(&item.info, item.body()).await {
        Err(LocalStoreError::MissingReference { path, reference }) => {
            assert_eq!((&path, &reference), (item.path(), missing.path()));
        }
        other => panic!("a reference is missing: {other:?}"),
    }
    assert!(!is_valid(&*store, item.path()).await, "it is valid");
    missing.import(&*store).await;
    comes_all_the_same(&*store, item).await;
}

/// "An import that breaks off leaves nothing behind."
pub async fn an_import_that_breaks_off_leaves_nothing(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    for (size, sent) in [(0, 50), (2_000_000, 1_000_000)] {
        let item = made(&*store, "item", size, &[]);
        let broken = io::Error::new(io::ErrorKind::ConnectionReset, "gone");
        let first = body(&item.nar[..sent], 1_000);
        let nar = first.chain(stream::iter([Err(broken)])).boxed();
        let refused = store.import(&item.info, nar).await;
        let broke = matches!(refused, Err(LocalStoreError::Body(_)));
        assert!(broke, "the body broke off: {refused:?}");
        comes_all_the_same(&*store, item).await;
    }
}

/// The same, where the caller goes away.
pub async fn an_import_that_is_given_up_leaves_nothing(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let item = made(&*store, "item", 2_000_000, &[]);
    let (given, mut all) = futures::channel::mpsc::unbounded::<()>();
    // All of it but its end.
    let nar = item.beginning(item.nar.len()).inspect(move |_| {
        // The case may have ended.
        let _ = given.unbounded_send(());
    });
    let import = {
        let (store, info) = (Arc::clone(&store), item.info.clone());
        tokio::spawn(async move { store.import(&info, nar.boxed()).await })
    };
    for _ in 0..item.nar.len().div_ceil(1_000) {
        all.next().await.expect("the body is read");
    }
    assert!(
        !is_valid(&*store, item.path()).await,
        "it is valid before its end"
    );
    import.abort();
    let ended = import.await;
    assert!(ended.is_err(), "it ended before its body: {ended:?}");
    comes_all_the_same(&*store, item).await;
}

/// "`NotValid`": what is not there is not exported.
pub async fn what_is_not_valid_is_not_exported(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let item = made(&*store, "item", 0, &[]);
    match store.export(item.path()).await.map(drop) {
        Err(LocalStoreError::NotValid(path)) => assert_eq!(path, *item.path()),
        other => panic!("it is not valid: {other:?}"),
    }
}
