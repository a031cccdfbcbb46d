//! Readers beside the writer.

use grange_interfaces::{Claim, FinishedFilter, History};
use grange_model::{BuildState, FactNumber, Key, Record};

use crate::conformance::DatastoreBench;
use crate::conformance::writer::Writer;
use crate::sample;

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
