//! What [`MemoryDatastore`] refuses beyond the contract, and that it changes nothing then.

use std::sync::Arc;

use grange_interfaces::{Claim, Datastore, History, StoreError};
use grange_model::{Batch, BuildState, Change, FactNumber, Key, Record, Seq, Term, Timestamp};
use grange_testing::{MemoryDatastore, sample};

fn batch(first_fact: u64, facts: u32, changes: Vec<Change>) -> Arc<Batch> {
    let facts = (0..facts).map(sample::fact).collect();
    Arc::new(Batch {
        at: Timestamp(5),
        first_fact: FactNumber(first_fact),
        facts,
        changes,
    })
}

fn put(record: Record) -> Change {
    Change::Put(record)
}

/// A store with a build and its derivation, at commit 1 and fact 1.
async fn store() -> (MemoryDatastore, Term) {
    let store = MemoryDatastore::new();
    let term = store.claim(Claim::Exclusive).await.unwrap().term;
    let changes = vec![
        put(Record::Build(sample::build(1, 0, 1))),
        put(Record::Derivation(sample::derivation(1))),
    ];
    store
        .commit(term, Seq(1), batch(1, 1, changes))
        .await
        .unwrap();
    (store, term)
}

/// Each of these batches, given as the second commit, is refused with words that hold `why`.
#[tokio::test]
async fn batches_that_make_no_sense_are_refused() {
    let mut unnamed = sample::build(2, 1, 1);
    unnamed.derivation = sample::derivation_item(2);
    let mut later = sample::attempt(0, 1);
    later.id.term = Term(9);
    let mut own = sample::attempt(0, 1);
    own.again = Some(sample::build_id(2));
    let mut eager = sample::hook(1);
    eager.cursor = FactNumber(3);
    let finished = |state| put(Record::Finished(sample::finished(1, 1, state)));
    let build =
        |number, slot, derivation| put(Record::Build(sample::build(number, slot, derivation)));
    let refused = [
        ("does not follow", batch(1, 1, vec![])),
        ("does not follow", batch(3, 1, vec![])),
        ("is not there", batch(2, 1, vec![build(2, 1, 2)])),
        (
            "names two derivations",
            batch(2, 1, vec![put(Record::Build(unnamed))]),
        ),
        (
            "has two rows",
            batch(2, 1, vec![build(1, 1, 1), build(1, 0, 1), build(1, 1, 1)]),
        ),
        (
            "finished and unfinished",
            batch(2, 1, vec![finished(BuildState::Failed)]),
        ),
        (
            "ended as Ready",
            batch(
                2,
                1,
                vec![Change::Remove(Key::Build(0)), finished(BuildState::Ready)],
            ),
        ),
        (
            "which is removed",
            batch(
                2,
                1,
                vec![Change::Remove(Key::Derivation(sample::digest(1)))],
            ),
        ),
        (
            "of no unfinished build",
            batch(2, 1, vec![put(Record::Attempt(sample::attempt(0, 2)))]),
        ),
        (
            "of no unfinished build",
            batch(2, 1, vec![put(Record::Attempt(own))]),
        ),
        (
            "never claimed",
            batch(2, 1, vec![put(Record::Attempt(later))]),
        ),
        (
            "is done with fact 3",
            batch(2, 1, vec![put(Record::Hook(eager))]),
        ),
    ];
    for (why, batch) in refused {
        let (store, term) = store().await;
        match store.commit(term, Seq(2), Arc::clone(&batch)).await {
            Err(StoreError::Corrupt(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("`{why}` was expected: {other:?}"),
        }
        let live = store
            .get(&[Key::Build(0), Key::Build(1), Key::Attempt(0)])
            .await
            .unwrap();
        assert_eq!(
            live,
            [Some(Record::Build(sample::build(1, 0, 1))), None, None],
            "{why}"
        );
        assert_eq!(
            store.facts(FactNumber(0), 9).await.unwrap().entries.len(),
            1
        );
        // What it knows of live builds is as before too.
        let good = batch_of_an_end();
        assert_eq!(
            store.commit(term, Seq(2), good).await,
            Ok(()),
            "after `{why}`"
        );
    }
}

/// An attempt of the build, and then its end.
fn batch_of_an_end() -> Arc<Batch> {
    batch(
        2,
        2,
        vec![
            put(Record::Attempt(sample::attempt(0, 1))),
            Change::Remove(Key::Attempt(0)),
            Change::Remove(Key::Build(0)),
            put(Record::Finished(sample::finished(
                1,
                1,
                BuildState::Succeeded,
            ))),
            Change::Remove(Key::Derivation(sample::digest(1))),
        ],
    )
}

#[tokio::test]
async fn a_repetition_with_another_content_is_refused() {
    let (store, term) = store().await;
    let other = store.commit(term, Seq(1), batch(1, 1, vec![])).await;
    assert!(
        matches!(&other, Err(StoreError::Corrupt(why)) if why.contains("another content")),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_term_that_nobody_claimed_is_refused() {
    let (store, term) = store().await;
    let other = store
        .commit(Term(term.0 + 1), Seq(2), batch(2, 1, vec![]))
        .await;
    assert!(
        matches!(&other, Err(StoreError::Corrupt(why)) if why.contains("never claimed")),
        "{other:?}"
    );
}
