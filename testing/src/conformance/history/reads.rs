//! Records and facts.

use grange_interfaces::History;
use grange_model::{BuildState, Change, FactNumber, Key, Record, Timestamp};

use super::filled::Filled;
use crate::conformance::HistoryBench;
use crate::conformance::writer::one_of_each;
use crate::sample;

/// "The records under these keys, in the order of the keys."
pub async fn get_keeps_the_order_of_keys(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    filled.put(one_of_each());
    let missing = Key::Agent(sample::agent_id(99));
    let mut keys = vec![missing.clone()];
    for record in one_of_each().iter().rev() {
        keys.extend([record.key(), missing.clone(), record.key()]);
    }
    let history = filled.history().await;
    let found = history.get(&keys).await.expect("it reads");
    let found: Vec<_> = found
        .iter()
        .map(|record| record.as_ref().map(Record::key))
        .collect();
    let expected: Vec<_> = keys
        .iter()
        .map(|key| (*key != missing).then(|| key.clone()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(history.get(&[]).await, Ok(Vec::new()));
}

/// What is put is what is given, whatever is in it.
pub async fn get_gives_what_was_put(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
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
    let mut history = sample::history(2);
    history.package = "ein Päckchen'; DROP TABLE history; --".into();
    records.push(Record::History(history));
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
    filled.put(records.clone());
    for record in records {
        let found = filled.get(record.key()).await;
        assert!(
            found.as_ref() == Some(&record),
            "{:?} is something else",
            record.key()
        );
    }
}

/// "Facts behind `after`, in order, at most `limit`."
pub async fn facts_come_in_order_and_pages(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let mut expected = Vec::new();
    for commit in [3_u32, 0, 1, 7, 2] {
        let last = expected.len() as u32;
        let facts: Vec<_> = (last..last + commit).map(sample::fact).collect();
        let batch = filled.batch(facts.clone(), Vec::new());
        expected.extend(batch.numbered_facts());
        filled.write(facts, Vec::new());
    }
    assert_eq!(expected.len(), 13);
    let history = filled.history().await;
    for after in 0..15 {
        for limit in [0, 1, 2, 3, 5, 13, 100, usize::MAX] {
            let page = history
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
    let page = history
        .facts(FactNumber(u64::MAX), 5)
        .await
        .expect("it reads");
    assert!(page.entries.is_empty() && !page.more);
}

/// "Changes apply in order, so that of two of one key the later counts."
pub async fn later_changes_count(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    for record in one_of_each() {
        let needed = Change::Put(Record::Derivation(sample::derivation(1)));
        let live = Change::Put(Record::Build(sample::build(1, 0, 1)));
        let (put, remove) = (Change::Put(record.clone()), Change::Remove(record.key()));
        let mut first = vec![needed.clone(), live, remove.clone(), put.clone()];
        if matches!(record, Record::Derivation(_) | Record::Build(_)) {
            first.swap(2, 3);
            first.push(put.clone());
            first.push(Change::Put(Record::Build(sample::build(1, 0, 1))));
        }
        filled.write(Vec::new(), first);
        assert_eq!(filled.get(record.key()).await.as_ref(), Some(&record));
        let gone = vec![Change::Remove(Key::Build(0)), put, remove];
        filled.write(Vec::new(), gone);
        assert_eq!(filled.get(record.key()).await, None, "{:?}", record.key());
    }
    let mut second = sample::agent(1);
    second.name = "another name".into();
    let two = vec![
        Record::Agent(sample::agent(1)),
        Record::Agent(second.clone()),
    ];
    filled.put(two);
    assert_eq!(
        filled.get(Key::Agent(second.id)).await,
        Some(Record::Agent(second))
    );
}
