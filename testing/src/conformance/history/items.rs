//! Items that are available.

use grange_interfaces::History;
use grange_model::{ItemRecord, Key, Record};

use super::filled::Filled;
use crate::conformance::HistoryBench;
use crate::conformance::writer::one_of_each;
use crate::sample;

/// Items in the order of their digests.
fn some(count: u32) -> Vec<ItemRecord> {
    let mut items: Vec<_> = (0..count).map(sample::item_record).collect();
    items.sort_by_key(|item| item.item.digest);
    items
}

async fn all(store: &dyn History, limit: usize) -> Vec<ItemRecord> {
    let mut found: Vec<ItemRecord> = Vec::new();
    loop {
        let after = found.last().map(|item| item.item.digest);
        let page = store.items(after, limit).await.expect("it reads");
        assert!(page.entries.len() <= limit, "more than were asked for");
        let mut behind = page.entries.iter();
        assert!(
            behind.all(|item| Some(item.item.digest) > after),
            "a page begins before its place"
        );
        assert!(
            !page.more || page.entries.len() == limit,
            "there are more, but they do not come"
        );
        found.extend(page.entries);
        if !page.more {
            return found;
        }
    }
}

/// "Items that are available, in the order of their digests, behind `after`, at most `limit`", among
/// records of all other kinds.
pub async fn items_come_in_order_and_pages(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let none = filled
        .history()
        .await
        .items(None, 10)
        .await
        .expect("it reads");
    assert!(none.entries.is_empty() && !none.more);
    let others = one_of_each().into_iter();
    let others = others.filter(|record| !matches!(record, Record::Item(_)));
    filled.put(others.collect());
    let expected = some(20);
    for step in [1, 0] {
        let some = expected.iter().rev().skip(step).step_by(2).cloned();
        filled.put(some.map(Record::Item).collect());
    }
    let history = filled.history().await;
    for limit in [1, 3, 19, 20, 21, usize::MAX] {
        let found = all(&*history, limit).await;
        assert_eq!(found, expected, "at most {limit}");
    }
    let none = history.items(None, 0).await.expect("it reads");
    assert!(none.entries.is_empty() && none.more);
    let after = |at: usize| Some(expected[at].item.digest);
    let page = history.items(after(16), 10).await.expect("it reads");
    assert!(page.entries == expected[17..] && !page.more);
    let page = history.items(after(19), 10).await.expect("it reads");
    assert!(page.entries.is_empty() && !page.more);
}

/// What is put again counts as it is now, and what is removed is gone, also as a place to go on from.
pub async fn items_follow_changes(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let mut expected = some(9);
    let records = expected.iter().cloned().map(Record::Item);
    filled.put(records.collect());
    expected[4].blob = sample::blob(1_000);
    filled.put(vec![Record::Item(expected[4].clone())]);
    let gone = expected.remove(2);
    let key = Key::Item(gone.item.digest);
    filled.remove(vec![key]);
    let history = filled.history().await;
    assert_eq!(all(&*history, 2).await, expected);
    let behind = history.items(Some(gone.item.digest), 100).await;
    assert_eq!(behind.expect("it reads").entries, expected[2..]);
}
