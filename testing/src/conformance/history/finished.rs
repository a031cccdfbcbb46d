//! Builds that have ended.

use grange_interfaces::{FinishedFilter, History};
use grange_model::{BuildId, BuildState, Digest, FinishedBuild, Key, Record};

use super::filled::Filled;
use crate::conformance::HistoryBench;
use crate::datastore::fits;
use crate::sample;

const ENDS: [BuildState; 4] = [
    BuildState::Succeeded,
    BuildState::Failed,
    BuildState::FailedDependency,
    BuildState::Canceled,
];

/// Builds with all mixtures of what can be filtered by, in the order of their ids.
fn mixture(count: u32) -> Vec<FinishedBuild> {
    (0..count)
        .map(|number| {
            let state = ENDS[(number / 2) as usize % 4];
            sample::finished(number, number / 7 % 5, state)
        })
        .collect()
}

async fn all(store: &dyn History, filter: &FinishedFilter, limit: usize) -> Vec<FinishedBuild> {
    let mut found: Vec<FinishedBuild> = Vec::new();
    loop {
        let after = found.last().map(|build| build.build.spec.id);
        let page = store
            .finished(filter, after, limit)
            .await
            .expect("it reads");
        assert!(page.entries.len() <= limit, "more than were asked for");
        let behind = page
            .entries
            .iter()
            .all(|build| Some(build.build.spec.id) > after);
        assert!(behind, "a page begins before its place");
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

/// "Finished builds in the order of their ids, behind `after`, at most `limit`."
pub async fn finished_comes_in_order_and_pages(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let expected = mixture(20);
    // They do not end in the order of their ids.
    for step in [1, 0] {
        let some = expected.iter().rev().skip(step).step_by(2).cloned();
        filled.put(some.map(Record::Finished).collect());
    }
    let filter = FinishedFilter::default();
    let history = filled.history().await;
    for limit in [1, 3, 19, 20, 21, usize::MAX] {
        assert_eq!(
            all(&*history, &filter, limit).await,
            expected,
            "at most {limit}"
        );
    }
    let none = history.finished(&filter, None, 0).await.expect("it reads");
    assert!(none.entries.is_empty() && none.more);
    let id = |number| Some(sample::build_id(number));
    let page = history
        .finished(&filter, id(17), 10)
        .await
        .expect("it reads");
    assert!(page.entries == expected[18..] && !page.more);
    let page = history
        .finished(&filter, id(1_000), 10)
        .await
        .expect("it reads");
    assert!(page.entries.is_empty() && !page.more);
}

/// Every [`FinishedFilter`], alone and with the others, gives what fits it and nothing else.
pub async fn every_filter_filters(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let builds = mixture(90);
    filled.put(builds.iter().cloned().map(Record::Finished).collect());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let tags = [
        vec![],
        vec![pair("project", "p1")],
        vec![pair("project", "p0"), pair("for", "ümläut\0and more")],
        vec![pair("project", "p2")],
        vec![pair("for", "p1")],
    ];
    let states = [
        None,
        Some(ENDS[0]),
        Some(ENDS[1]),
        Some(ENDS[2]),
        Some(BuildState::Ready),
    ];
    let history = filled.history().await;
    let mut hits = 0;
    for state in states {
        for tags in &tags {
            for system in [None, Some("aarch64-linux"), Some("riscv64-linux")] {
                for derivation in [None, Some(3), Some(99)] {
                    for lost_input in [None, Some(2), Some(99)] {
                        let filter = FinishedFilter {
                            state,
                            tags: tags.clone(),
                            system: system.map(str::to_owned),
                            derivation: derivation.map(sample::digest),
                            lost_input: lost_input.map(sample::digest),
                        };
                        let expected: Vec<_> =
                            builds.iter().filter(|build| fits(&filter, build)).collect();
                        hits += usize::from(!expected.is_empty());
                        let found = all(&*history, &filter, 40).await;
                        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
                    }
                }
            }
        }
    }
    assert!(hits > 40, "the sample is too small: {hits}");
}

/// A finished build that is put again or removed is found by what it has now, and by nothing else.
pub async fn finished_follows_changes(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let mut first = sample::finished(1, 1, BuildState::FailedDependency);
    first.build.spec.tags = sample::tags(2);
    let mut second = sample::finished(1, 2, BuildState::FailedDependency);
    second.build.spec.tags = sample::tags(1);
    second.causes = vec![sample::cause(70), sample::cause(70)];
    let filters = |build: &FinishedBuild| {
        let spec = &build.build.spec;
        let none = FinishedFilter::default;
        let mut filters = vec![
            FinishedFilter {
                derivation: Some(spec.derivation),
                ..none()
            },
            FinishedFilter {
                system: Some(build.system.clone()),
                ..none()
            },
            FinishedFilter {
                state: Some(build.state),
                tags: spec.tags.clone().into_iter().collect(),
                ..none()
            },
        ];
        filters.extend(build.causes.iter().map(|cause| FinishedFilter {
            lost_input: Some(cause.output),
            ..none()
        }));
        filters
    };
    filled.put(vec![Record::Finished(first.clone())]);
    filled.put(vec![Record::Finished(second.clone())]);
    let history = filled.history().await;
    for filter in filters(&first).iter().chain(&filters(&second)) {
        let expected = if fits(filter, &second) {
            vec![second.clone()]
        } else {
            vec![]
        };
        assert_eq!(all(&*history, filter, 5).await, expected, "{filter:?}");
    }
    filled.remove(vec![Key::Finished(sample::build_id(1))]);
    let history = filled.history().await;
    for filter in filters(&first).iter().chain(&filters(&second)) {
        assert_eq!(all(&*history, filter, 5).await, [], "{filter:?}");
    }
    filled.put(vec![Record::Finished(first.clone())]);
    let history = filled.history().await;
    for filter in filters(&first) {
        assert_eq!(
            all(&*history, &filter, 5).await,
            [first.clone()],
            "{filter:?}"
        );
    }
}

async fn are_lost(history: &dyn History, outputs: &[Digest]) -> Vec<bool> {
    let none = history.are_lost(&[]).await.expect("it reads");
    assert!(none.is_empty(), "an answer to no question: {none:?}");
    history.are_lost(outputs).await.expect("it reads")
}

/// "For each of these outputs, whether there is a finished build that ended for want of it", in their order, and now.
pub async fn lost_outputs_follow_changes(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let ended = |number, lost: &[u32]| {
        let mut build = sample::finished(number, number, BuildState::FailedDependency);
        build.causes = lost.iter().copied().map(sample::cause).collect();
        Record::Finished(build)
    };
    let output = |number| sample::cause(number).output;
    let asked = [72, 70, 71, 99, 70].map(output);
    assert_eq!(are_lost(&*filled.history().await, &asked).await, [false; 5]);
    filled.put(vec![ended(1, &[70, 71]), ended(2, &[70])]);
    assert_eq!(
        are_lost(&*filled.history().await, &asked).await,
        [false, true, true, false, true]
    );
    // It was reopened, and lacks something else now.
    filled.put(vec![ended(1, &[72])]);
    assert_eq!(
        are_lost(&*filled.history().await, &asked).await,
        [true, true, false, false, true]
    );
    filled.remove(vec![Key::Finished(sample::build_id(2))]);
    assert_eq!(
        are_lost(&*filled.history().await, &asked).await,
        [true, false, false, false, false]
    );
}

/// "How many finished builds there are in each state."
pub async fn counts_follow_changes(bench: &impl HistoryBench) {
    let mut filled = Filled::new(bench);
    let builds = mixture(30);
    filled.put(builds.iter().cloned().map(Record::Finished).collect());
    let ids: Vec<BuildId> = builds.iter().map(|build| build.build.spec.id).collect();
    let mut now = builds;
    for (index, build) in now.iter_mut().enumerate().take(10) {
        build.state = ENDS[index % 3];
    }
    filled.put(now[..10].iter().cloned().map(Record::Finished).collect());
    let gone = ids[5..25].iter().map(|id| Key::Finished(*id));
    filled.remove(gone.clone().chain(gone).collect());
    now.drain(5..25);
    let counts = filled
        .history()
        .await
        .count_finished()
        .await
        .expect("it reads");
    for state in ENDS {
        let expected = now.iter().filter(|build| build.state == state).count() as u64;
        let counted: Vec<_> = counts.iter().filter(|(of, _)| *of == state).collect();
        assert!(counted.len() <= 1, "{state:?} is counted twice");
        assert_eq!(
            counted.first().map_or(0, |(_, count)| *count),
            expected,
            "{state:?}"
        );
    }
    assert!(
        counts
            .iter()
            .all(|(state, count)| state.is_final() || *count == 0),
        "{counts:?}"
    );
}
