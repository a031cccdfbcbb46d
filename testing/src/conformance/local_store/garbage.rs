//! What nobody needs. Stores that others use have none of it to spare.

use futures::StreamExt;
use grange_interfaces::{Freed, LocalStore, bytes_of};

use super::items::{is_valid, made};
use crate::conformance::LocalStoreBench;

async fn collect(store: &dyn LocalStore, bytes: u64, keep: &[&str], delete: bool) -> Freed {
    let keep: Vec<_> = keep
        .iter()
        .map(|path| grange_derivation::StorePath::parse_any(path).expect("it is a path"))
        .collect();
    let freed = store.collect_garbage(bytes, &keep, delete).await;
    freed.expect("garbage is collected")
}

/// "`collect_garbage` deletes neither what is kept …, nor what any of these refers to"; "What is to
/// be kept need not be valid yet."
pub async fn garbage_goes_and_what_is_kept_stays(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    if !bench.is_ours() {
        return;
    }
    assert!(store.free_bytes().await.expect("it answers") > 0);
    let base = made(&*store, "base", 0, &[]).import(&*store).await;
    let kept = made(&*store, "kept", 0, &[&base]).import(&*store).await;
    let low = made(&*store, "low", 0, &[]).import(&*store).await;
    let top = made(&*store, "top", 0, &[&low, &base])
        .import(&*store)
        .await;
    let later = made(&*store, "later", 0, &[]);
    let keep = [kept.path().to_string(), later.path().to_string()];
    let keep: Vec<_> = keep.iter().map(String::as_str).collect();
    let freed = collect(&*store, u64::MAX, &keep, true).await;
    for item in [&base, &kept] {
        assert!(
            is_valid(&*store, item.path()).await,
            "{} is gone",
            item.path()
        );
    }
    for item in [&low, &top] {
        assert!(
            !is_valid(&*store, item.path()).await,
            "{} is left",
            item.path()
        );
    }
    assert_eq!(freed.items, 2);
    assert!(freed.bytes > 0);
}

/// "If not `delete`, only says what would go."
pub async fn looking_for_garbage_deletes_nothing(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    if !bench.is_ours() {
        return;
    }
    let low = made(&*store, "low", 0, &[]).import(&*store).await;
    let top = made(&*store, "top", 0, &[&low]).import(&*store).await;
    let looked = collect(&*store, u64::MAX, &[], false).await;
    for item in [&low, &top] {
        assert!(
            is_valid(&*store, item.path()).await,
            "{} is gone",
            item.path()
        );
    }
    let freed = collect(&*store, u64::MAX, &[], true).await;
    assert_eq!(looked, freed, "it said something else than it did");
    assert_eq!(freed.items, 2);
}

/// "Until `bytes` are free that were not, or nothing is left that may go"; what refers to others
/// goes before these.
pub async fn garbage_stops_when_it_is_enough(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    if !bench.is_ours() {
        return;
    }
    let mut items = vec![made(&*store, "item-0", 5_000, &[]).import(&*store).await];
    for number in 1..6 {
        let below = items.last().expect("there is one").clone();
        let next = made(&*store, &format!("item-{number}"), 5_000, &[&below]);
        items.push(next.import(&*store).await);
    }
    assert_eq!(collect(&*store, 0, &[], true).await, Freed::default());
    let freed = collect(&*store, 7_000, &[], true).await;
    assert!(freed.bytes >= 7_000, "{freed:?}");
    let mut left = Vec::new();
    for item in &items {
        left.push(is_valid(&*store, item.path()).await);
    }
    let count = left.iter().filter(|it| **it).count();
    assert_eq!(
        count as u64 + freed.items,
        6,
        "it said something else than it did"
    );
    assert!(count >= 3, "much more went than was asked for: {left:?}");
    assert!(
        left.is_sorted_by(|one, other| one >= other),
        "it dangles: {left:?}"
    );
}

/// "Nor what a build or an export uses."
pub async fn what_is_exported_is_no_garbage(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    if !bench.is_ours() {
        return;
    }
    let low = made(&*store, "low", 0, &[]).import(&*store).await;
    let item = made(&*store, "item", 4 << 20, &[&low])
        .import(&*store)
        .await;
    let mut nar = store.export(item.path()).await.expect("it is exported");
    let first = nar
        .next()
        .await
        .expect("it has bytes")
        .expect("it has bytes");
    collect(&*store, u64::MAX, &[], true).await;
    for item in [&low, &item] {
        assert!(
            is_valid(&*store, item.path()).await,
            "{} is gone",
            item.path()
        );
    }
    let rest = bytes_of(nar, 64 << 20).await.expect("it is whole");
    assert!([&first[..], &rest[..]].concat() == item.nar, "other bytes");
    collect(&*store, u64::MAX, &[], true).await;
    assert!(
        !is_valid(&*store, item.path()).await,
        "nobody uses it any more"
    );
}
