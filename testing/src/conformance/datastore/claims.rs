//! Who may write.

use std::sync::Arc;

use futures::future::join;
use grange_interfaces::{Claim, Claimed, Datastore, History, StoreError};
use grange_model::{Change, FactNumber, Key, Record, Seq, Term};

use crate::conformance::DatastoreBench;
use crate::conformance::writer::Writer;
use crate::sample;

/// "`claim` is durable; terms only grow."
pub async fn terms_grow(bench: &impl DatastoreBench) {
    let mut last = Term(0);
    for _ in 0..3 {
        let store = bench.open().await;
        for how in [Claim::Exclusive, Claim::Force, Claim::Exclusive] {
            let term = store.claim(how).await.expect("nobody else is there").term;
            assert!(term > last, "{term:?} after {last:?}");
            last = term;
        }
    }
}

/// What is new has no commit, no fact and no record; the first commit is 1.
pub async fn a_new_store_is_empty(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    assert_eq!((writer.seq, writer.fact), (Seq(0), FactNumber(0)));
    assert_eq!(writer.load().await, []);
    assert_eq!(
        writer
            .store
            .facts(FactNumber(0), 10)
            .await
            .expect("it reads")
            .entries,
        []
    );
    let counts = writer.store.count_finished().await.expect("it reads");
    assert!(counts.iter().all(|(_, count)| *count == 0), "{counts:?}");
    writer.put(vec![Record::Agent(sample::agent(1))]).await;
}

/// "Fails with `InUse` if another process seems to hold it"; not once the other is gone.
pub async fn exclusive_is_refused_while_another_holds_it(bench: &impl DatastoreBench) {
    let mut first = Writer::claim(bench.open().await, Claim::Exclusive).await;
    let other = bench.open().await;
    let refused = other.claim(Claim::Exclusive).await;
    assert!(matches!(refused, Err(StoreError::InUse(_))), "{refused:?}");
    first.put(vec![Record::Agent(sample::agent(1))]).await;
    let (term, seq) = (first.term, first.seq);
    drop(first);
    let claimed = other
        .claim(Claim::Exclusive)
        .await
        .expect("the first one is gone");
    assert!(claimed.term > term);
    assert_eq!(claimed.seq, seq);
}

/// "A lower term can write nothing from then on."
pub async fn a_lower_term_writes_nothing(bench: &impl DatastoreBench) {
    let mut first = Writer::claim(bench.open().await, Claim::Exclusive).await;
    first.put(vec![Record::Agent(sample::agent(1))]).await;
    let mut second = Writer::claim(bench.open().await, Claim::Force).await;
    assert_eq!(second.seq, first.seq);
    let fenced = Err(StoreError::Fenced {
        mine: first.term,
        holder: second.term,
    });
    let facts = vec![sample::fact(1)];
    let changes = vec![Change::Put(Record::Agent(sample::agent(2)))];
    assert_eq!(
        first.try_write(facts.clone(), changes.clone()).await,
        fenced
    );
    second.put(vec![Record::Agent(sample::agent(3))]).await;
    assert_eq!(
        first.try_write(facts.clone(), changes.clone()).await,
        fenced
    );
    first.seq = second.seq;
    assert_eq!(first.try_write(facts, changes).await, fenced);
    let agents: Vec<_> = second.load().await.iter().map(Record::key).collect();
    let expected = [1, 3].map(|number| Key::Agent(sample::agent_id(number)));
    assert_eq!(agents, expected);
    assert_eq!(
        second
            .store
            .facts(FactNumber(0), 10)
            .await
            .expect("it reads")
            .entries,
        []
    );
    drop((first, second));
    let after = Writer::claim(bench.open().await, Claim::Exclusive).await;
    assert_eq!(after.load().await.len(), 2);
}

/// "Not even a commit that is under way": what a claim says was written is what is there for ever.
pub async fn a_fenced_commit_is_there_or_never_comes(bench: &impl DatastoreBench) {
    let store = bench.open().await;
    let mut seq = Seq(0);
    for round in 0..20 {
        let writer = Writer::claim(Arc::clone(&store), Claim::Exclusive).await;
        assert_eq!(writer.seq, seq);
        let batch = writer.batch(
            Vec::new(),
            vec![Change::Put(Record::Agent(sample::agent(round)))],
        );
        let next = seq.next();
        let commit = store.commit(writer.term, next, batch);
        let (claimed, written) = if round % 2 == 0 {
            join(store.claim(Claim::Force), commit).await
        } else {
            let (written, claimed) = join(commit, store.claim(Claim::Force)).await;
            (claimed, written)
        };
        let Claimed { seq: last, .. } = claimed.expect("a forced claim is granted");
        let there = writer
            .get(Key::Agent(sample::agent_id(round)))
            .await
            .is_some();
        assert_eq!(
            there,
            last == next,
            "round {round}: the claim said {last:?}"
        );
        match written {
            Ok(()) => assert!(there, "round {round}: an acknowledged commit is gone"),
            Err(StoreError::Fenced { .. }) => {}
            Err(other) => panic!("round {round}: {other}"),
        }
        seq = last;
    }
}
