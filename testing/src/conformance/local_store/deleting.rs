//! Items that go.

use bytes::BytesMut;
use futures::StreamExt;
use grange_interfaces::{LocalStore, LocalStoreError};

use super::items::{bytes_of_export, is_valid, made};
use crate::conformance::LocalStoreBench;

/// "Deletes an item; what is not there succeeds."
pub async fn a_deleted_item_is_gone(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let item = made(&*store, "item", 100_000, &[]);
    store
        .delete(item.path())
        .await
        .expect("nothing is to be done");
    let item = item.import(&*store).await;
    let other = made(&*store, "other", 0, &[]).import(&*store).await;
    for _ in 0..2 {
        store.delete(item.path()).await.expect("it is deleted");
        assert!(!is_valid(&*store, item.path()).await, "it is valid");
    }
    assert!(is_valid(&*store, other.path()).await, "another one is gone");
    drop(store);
    let store = bench.open().await.expect("it was there");
    assert!(!is_valid(&*store, item.path()).await, "it is valid again");
    item.import(&*store).await;
}

/// "A store that is the farm's own deletes what refers to it as well …; a store that others use
/// refuses."
pub async fn deleting_leaves_nothing_dangling(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let low = made(&*store, "low", 0, &[]).import(&*store).await;
    let middle = made(&*store, "middle", 0, &[&low]).import(&*store).await;
    let top = made(&*store, "top", 0, &[&middle]).import(&*store).await;
    let deleted = store.delete(low.path()).await;
    let mut left = Vec::new();
    for item in [&low, &middle, &top] {
        left.push(is_valid(&*store, item.path()).await);
    }
    match deleted {
        Ok(()) => assert_eq!(left, [false; 3], "what refers to it is left"),
        Err(LocalStoreError::InUse { .. }) => {
            assert_eq!(left, [true; 3], "it refused, and deleted");
            for item in [&top, &middle, &low] {
                store
                    .delete(item.path())
                    .await
                    .expect("nothing refers to it");
            }
        }
        Err(error) => panic!("{error}"),
    }
}

/// An export that runs while the item is deleted is whole, or says that it is not.
pub async fn an_export_is_whole_or_an_error(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let item = made(&*store, "item", 4 << 20, &[]).import(&*store).await;
    let mut nar = store.export(item.path()).await.expect("it is exported");
    let mut bytes = BytesMut::new();
    let first = nar.next().await.expect("it has bytes");
    bytes.extend_from_slice(&first.expect("it has bytes"));
    let refused = store.delete(item.path()).await.is_err();
    let mut broken = false;
    while let Some(piece) = nar.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    assert!(
        broken || bytes == item.nar,
        "{} bytes looked whole",
        bytes.len()
    );
    if refused {
        assert!(!broken, "it is in use, and broke off");
        drop(nar);
        assert!(bytes_of_export(&*store, item.path()).await == item.nar);
    }
}
