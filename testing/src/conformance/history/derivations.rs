//! Derivations.

use grange_interfaces::History;
use grange_model::{DerivationRecord, Key, Record};

use super::filled::Filled;
use crate::conformance::HistoryBench;
use crate::conformance::writer::one_of_each;
use crate::sample;

/// A derivation, or what cannot be without one.
fn is_bound(record: &Record) -> bool {
    matches!(
        record,
        Record::Derivation(_) | Record::Build(_) | Record::Attempt(_)
    )
}

/// "All derivations, in the order of their digests, behind `after`, at most `limit`", among records
/// of most other kinds, although no build is of them.
pub async fn derivations_come_in_order_and_pages(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let none = filled
        .history()
        .await
        .derivations(None, 10)
        .await
        .expect("it reads");
    assert!(none.entries.is_empty() && !none.more);
    let others = one_of_each().into_iter();
    let others = others.filter(|record| !is_bound(record));
    filled.put(others.collect());
    let mut expected: Vec<DerivationRecord> = (0..20).map(sample::derivation).collect();
    expected.sort_by_key(|derivation| derivation.item.digest);
    for step in [1, 0] {
        let some = expected.iter().rev().skip(step).step_by(2).cloned();
        filled.put(some.map(Record::Derivation).collect());
    }
    let gone = expected.remove(7);
    filled.remove(vec![Key::Derivation(gone.item.digest)]);
    let history = filled.history().await;
    for limit in [1, 3, 18, 19, 20, usize::MAX] {
        let mut found: Vec<DerivationRecord> = Vec::new();
        loop {
            let after = found.last().map(|derivation| derivation.item.digest);
            let page = history.derivations(after, limit).await;
            let page = page.expect("it reads");
            assert!(page.entries.len() <= limit, "more than were asked for");
            assert!(
                !page.more || page.entries.len() == limit,
                "there are more, but they do not come"
            );
            found.extend(page.entries);
            if !page.more {
                break;
            }
        }
        assert_eq!(found, expected, "at most {limit}");
    }
    let behind = history.derivations(Some(gone.item.digest), 100).await;
    assert_eq!(behind.expect("it reads").entries, expected[7..]);
}
