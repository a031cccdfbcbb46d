//! What a coordinator starts with.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use grange_interfaces::{Claim, Datastore};
use grange_model::{Change, Key, Record};

use crate::conformance::DatastoreBench;
use crate::conformance::writer::{Writer, one_of_each};
use crate::sample;

/// "Agents, hooks, attempts, unfinished builds and the derivations that these are of (nothing else)."
pub async fn load_gives_what_lives(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    writer.put(one_of_each()).await;
    writer
        .put(vec![Record::Derivation(sample::derivation(3))])
        .await;
    let live = |record: &Record| {
        !matches!(
            record,
            Record::DerivationText { .. }
                | Record::Item(_)
                | Record::Failure(_)
                | Record::Finished(_)
                | Record::Upstream(_)
        )
    };
    let mut expected: Vec<_> = one_of_each().into_iter().filter(live).collect();
    expected.sort_by_key(Record::key);
    assert_eq!(writer.load().await, expected);
    // The derivation that lives is one of few, and one of many.
    let others = (4..40).map(|number| Record::Derivation(sample::derivation(number)));
    writer.put(others.collect()).await;
    assert_eq!(writer.load().await, expected);
    writer.remove(vec![Key::Attempt(0), Key::Build(0)]).await;
    expected.retain(|record| {
        matches!(
            record,
            Record::Agent(_) | Record::Hook(_) | Record::History(_)
        )
    });
    assert_eq!(writer.load().await, expected);
    drop(writer);
    let writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    assert_eq!(writer.load().await, expected);
}

/// "Every live record once."
pub async fn load_gives_each_record_once(bench: &impl DatastoreBench) {
    const BUILDS: u32 = 2_500;
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    // Two builds share each derivation.
    let derivations = (0..BUILDS / 2).map(|number| Record::Derivation(sample::derivation(number)));
    let builds = (0..BUILDS).map(|number| Record::Build(sample::build(number, number, number / 2)));
    let mut expected: Vec<_> = derivations.chain(builds).collect();
    writer.put(expected.clone()).await;
    expected.sort_by_key(Record::key);
    let found = writer.load().await;
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "other records than were put");
}

/// "As of a moment after the claim", whatever is written meanwhile.
pub async fn load_is_of_one_moment(bench: &impl DatastoreBench) {
    const BUILDS: u32 = 1_200;
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    let of = |number| {
        [
            Record::Derivation(sample::derivation(number)),
            Record::Build(sample::build(number, number, number)),
            Record::Attempt(sample::attempt(number, number)),
        ]
    };
    writer.put((0..BUILDS).flat_map(of).collect()).await;
    let store = std::sync::Arc::clone(&writer.store);
    let mut chunks = store.load(writer.term);
    let mut records = chunks
        .try_next()
        .await
        .expect("it loads")
        .expect("there are records");
    for number in 0..BUILDS {
        if number % 300 == 0 {
            let last = number + 300;
            let gone = (number..last).flat_map(|slot| [Key::Attempt(slot), Key::Build(slot)]);
            let changes = gone.map(Change::Remove);
            let new = of(BUILDS + number).map(Change::Put);
            writer.write(Vec::new(), changes.chain(new).collect()).await;
        }
    }
    while let Some(chunk) = chunks.try_next().await.expect("it loads") {
        records.extend(chunk);
    }
    let keys: BTreeSet<_> = records.iter().map(Record::key).collect();
    assert_eq!(keys.len(), records.len(), "a record came twice");
    for number in 0..BUILDS + 1_200 {
        let slot = |key: fn(u32) -> Key| keys.contains(&key(number));
        let derivation = keys.contains(&Key::Derivation(sample::digest(number)));
        let (build, attempt) = (slot(Key::Build), slot(Key::Attempt));
        assert!(
            build == attempt && build == derivation,
            "number {number} is there in parts"
        );
    }
    let there = |number: u32| keys.contains(&Key::Build(number));
    let commits = (0..4).map(|commit| commit * 300);
    let seen: Vec<_> = commits
        .map(|number| (there(number), there(BUILDS + number)))
        .collect();
    assert!(
        seen.iter().all(|(old, new)| old != new),
        "half a commit: {seen:?}"
    );
    assert!(
        seen.is_sorted_by_key(|(old, _)| *old),
        "a later commit without the earlier: {seen:?}"
    );
}
