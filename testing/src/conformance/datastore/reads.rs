//! Records and facts.

use grange_interfaces::{Claim, FinishedFilter, History};
use grange_model::{BuildState, FactNumber, Key, Record, Timestamp};

use super::commits::one_of_each;
use crate::conformance::DatastoreBench;
use crate::conformance::writer::Writer;
use crate::sample;

/// "The records under these keys, in the order of the keys."
pub async fn get_keeps_the_order_of_keys(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    writer.put(one_of_each()).await;
    let missing = Key::Agent(sample::agent_id(99));
    let mut keys = vec![missing.clone()];
    for record in one_of_each().iter().rev() {
        keys.extend([record.key(), missing.clone(), record.key()]);
    }
    let found = writer.store.get(&keys).await.expect("it reads");
    let found: Vec<_> = found
        .iter()
        .map(|record| record.as_ref().map(Record::key))
        .collect();
    let expected: Vec<_> = keys
        .iter()
        .map(|key| (*key != missing).then(|| key.clone()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(writer.store.get(&[]).await, Ok(Vec::new()));
}

/// What is put is what is given, whatever is in it.
pub async fn get_gives_what_was_put(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    let mut records = one_of_each();
    let text = |length: u32| {
        (0..length)
            .map(|index| (index % 251) as u8)
            .collect::<Vec<_>>()
    };
    for (number, length) in [(10, 0), (11, 1), (12, 5_000), (13, 3_000_000)] {
        let derivation = sample::digest(number);
        records.push(Record::DerivationText {
            derivation,
            text: text(length),
        });
    }
    let mut hook = sample::hook(1);
    hook.name = "ein Häken\0'; DROP TABLE hook; --".into();
    records.push(Record::Hook(hook));
    let mut agent = sample::agent(2);
    agent.name = String::new();
    agent.created_at = Timestamp(u64::MAX);
    records.push(Record::Agent(agent));
    let mut build = sample::build(3, u32::MAX, 1);
    build.submitted_at = Timestamp(u64::MAX);
    records.push(Record::Build(build));
    let mut finished = sample::finished(4, 4, BuildState::Canceled);
    finished.ended_at = Timestamp(u64::MAX);
    finished.system = "ø\0".into();
    records.push(Record::Finished(finished));
    writer.put(records.clone()).await;
    for record in records {
        let found = writer.get(record.key()).await;
        assert!(
            found.as_ref() == Some(&record),
            "{:?} is something else",
            record.key()
        );
    }
}

/// "Facts behind `after`, in order, at most `limit`."
pub async fn facts_come_in_order_and_pages(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    let mut expected = Vec::new();
    for commit in [3_u32, 0, 1, 7, 2] {
        let last = expected.len() as u32;
        let facts: Vec<_> = (last..last + commit).map(sample::fact).collect();
        let batch = writer.batch(facts.clone(), Vec::new());
        expected.extend(batch.numbered_facts());
        writer.write(facts, Vec::new()).await;
    }
    assert_eq!(expected.len(), 13);
    for after in 0..15 {
        for limit in [0, 1, 2, 3, 5, 13, 100, usize::MAX] {
            let page = writer
                .store
                .facts(FactNumber(after), limit)
                .await
                .expect("it reads");
            let behind = expected.get(after as usize..).unwrap_or_default();
            let count = behind.len().min(limit);
            assert_eq!(
                page.entries,
                behind[..count],
                "behind {after}, at most {limit}"
            );
            assert_eq!(
                page.more,
                behind.len() > count,
                "behind {after}, at most {limit}"
            );
        }
    }
    let page = writer
        .store
        .facts(FactNumber(u64::MAX), 5)
        .await
        .expect("it reads");
    assert!(page.entries.is_empty() && !page.more);
}

/// "Reads see at least every commit that was acknowledged before they began."
pub async fn every_reader_sees_what_was_acknowledged(bench: &impl DatastoreBench) {
    let mut writer = Writer::claim(bench.open().await, Claim::Exclusive).await;
    let other = bench.open().await;
    for number in 0..40 {
        let build = sample::finished(number, 1, BuildState::Succeeded);
        let key = Key::Finished(build.build.spec.id);
        let change = grange_model::Change::Put(Record::Finished(build.clone()));
        writer.write(vec![sample::fact(number)], vec![change]).await;
        let store: &dyn History = if number % 2 == 0 {
            &*writer.store
        } else {
            &*other
        };
        assert_eq!(
            store.get(&[key]).await,
            Ok(vec![Some(Record::Finished(build.clone()))])
        );
        let facts = store
            .facts(FactNumber(u64::from(number)), 10)
            .await
            .expect("it reads");
        assert_eq!(facts.entries.len(), 1);
        let count: u64 = store
            .count_finished()
            .await
            .expect("it reads")
            .iter()
            .map(|(_, count)| count)
            .sum();
        assert_eq!(count, u64::from(number) + 1);
        let page = store
            .finished(&FinishedFilter::default(), None, 100)
            .await
            .expect("it reads");
        assert_eq!(page.entries.last(), Some(&build));
    }
}
