//! What a commit does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grange_interfaces::{Claim, Datastore, History, StoreError};
use grange_model::{BuildState, Change, FactNumber, Key, Record, Seq};

use crate::conformance::DatastoreBench;
use crate::conformance::writer::{Writer, one_of_each};
use crate::sample;

/// "Is durable when it returns `Ok`."
pub async fn a_commit_is_durable(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    let facts = vec![sample::fact(1), sample::fact(2)];
    let changes = one_of_each().into_iter().map(Change::Put).collect();
    writer.write(facts.clone(), changes).await;
    writer.write(vec![sample::fact(3)], Vec::new()).await;
    drop(writer);
    let writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    assert_eq!((writer.seq, writer.fact), (Seq(2), FactNumber(3)));
    for record in one_of_each() {
        assert_eq!(writer.get(record.key()).await.as_ref(), Some(&record));
    }
    let counts = writer.store.count_finished().await.expect("it reads");
    let failed = counts
        .iter()
        .filter(|count| **count == (BuildState::Failed, 1));
    assert_eq!(failed.count(), 1, "{counts:?}");
    let journal = writer
        .store
        .facts(FactNumber(0), 10)
        .await
        .expect("it reads")
        .entries;
    let journal: Vec<_> = journal.into_iter().map(|numbered| numbered.fact).collect();
    assert_eq!(journal, [facts, vec![sample::fact(3)]].concat());
}

/// "Writes all of the batch or nothing"; "only whole commits" are read.
pub async fn a_commit_is_read_as_a_whole(bench: &impl DatastoreBench) {
    const COMMITS: u32 = 60;
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    let reader = Arc::clone(&writer.store);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let reading = tokio::spawn(async move {
        let keys: Vec<_> = (0..50)
            .map(|number| Key::Agent(sample::agent_id(number)))
            .collect();
        let mut rounds = 0;
        while !stopped.load(Ordering::SeqCst) || rounds == 0 {
            let found = reader.get(&keys).await.expect("it reads");
            let names: Vec<_> = found
                .iter()
                .map(|record| match record {
                    Some(Record::Agent(agent)) => agent.name.clone(),
                    _ => String::new(),
                })
                .collect();
            assert!(
                names.iter().all(|name| *name == names[0]),
                "half a commit: {names:?}"
            );
            rounds += 1;
            tokio::task::yield_now().await;
        }
    });
    for commit in 0..COMMITS {
        let named = |number| {
            let mut agent = sample::agent(number);
            agent.name = format!("commit {commit}");
            Record::Agent(agent)
        };
        writer.put((0..50).map(named).collect()).await;
        // Also where a commit waits for nothing, the reader has its turn.
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    reading.await.expect("only whole commits are read");
}

/// "All of the batch or nothing."
pub async fn a_refused_commit_writes_nothing(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    let changes = one_of_each().into_iter().map(Change::Put).collect();
    let batch = writer.batch(vec![sample::fact(1)], changes);
    let refused = writer
        .store
        .commit(writer.term, Seq(2), Arc::clone(&batch))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt(_))),
        "{refused:?}"
    );
    for record in one_of_each() {
        assert_eq!(writer.get(record.key()).await, None);
    }
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
    writer.seq = Seq(0);
    writer.put(vec![Record::Agent(sample::agent(2))]).await;
}

/// "The same `(term, seq)` again is the same commit: it returns `Ok` and changes nothing."
pub async fn repeating_is_one_commit(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    writer
        .write(
            vec![sample::fact(1)],
            vec![Change::Put(Record::Agent(sample::agent(1)))],
        )
        .await;
    let changes = vec![
        Change::Remove(Key::Agent(sample::agent_id(1))),
        Change::Put(Record::Finished(sample::finished(
            3,
            3,
            BuildState::Succeeded,
        ))),
    ];
    let batch = writer.batch(vec![sample::fact(2), sample::fact(3)], changes);
    for _ in 0..3 {
        let done = writer
            .store
            .commit(writer.term, Seq(2), Arc::clone(&batch))
            .await;
        assert_eq!(done, Ok(()));
    }
    let facts = writer
        .store
        .facts(FactNumber(0), 10)
        .await
        .expect("it reads")
        .entries;
    let numbers: Vec<_> = facts.iter().map(|fact| fact.number.0).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let counts = writer.store.count_finished().await.expect("it reads");
    assert_eq!(
        counts.iter().map(|(_, count)| count).sum::<u64>(),
        1,
        "{counts:?}"
    );
    (writer.seq, writer.fact) = (Seq(2), FactNumber(3));
    writer.write(vec![sample::fact(4)], Vec::new()).await;
}

/// "`seq` is one more than that of the last commit. … Another gap or repetition is `Corrupt`."
pub async fn gaps_are_refused(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    for number in 1..4 {
        writer.put(vec![Record::Agent(sample::agent(number))]).await;
    }
    let batch = writer.batch(
        Vec::new(),
        vec![Change::Put(Record::Agent(sample::agent(9)))],
    );
    for seq in [0, 1, 2, 5, u64::MAX] {
        let refused = writer
            .store
            .commit(writer.term, Seq(seq), Arc::clone(&batch))
            .await;
        assert!(
            matches!(refused, Err(StoreError::Corrupt(_))),
            "{seq}: {refused:?}"
        );
    }
    // The number of a commit of another term is no repetition either.
    let again = Writer::claim(Arc::clone(&writer.store), Claim::Exclusive).await;
    let refused = again.store.commit(again.term, Seq(3), batch).await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt(_))),
        "{refused:?}"
    );
    assert_eq!(again.get(Key::Agent(sample::agent_id(9))).await, None);
    assert_eq!(again.load().await.len(), 3);
}

/// "If there was none, nothing happens."
pub async fn removing_nothing_does_nothing(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    writer
        .remove(one_of_each().iter().map(Record::key).collect())
        .await;
    assert_eq!(writer.load().await, []);
    let counts = writer.store.count_finished().await.expect("it reads");
    assert!(counts.iter().all(|(_, count)| *count == 0), "{counts:?}");
}

/// A batch without anything in it is counted like any other.
pub async fn an_empty_batch_is_a_commit(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    writer.write(Vec::new(), Vec::new()).await;
    writer.write(Vec::new(), Vec::new()).await;
    drop(writer);
    let writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    assert_eq!((writer.seq, writer.fact), (Seq(2), FactNumber(0)));
}
