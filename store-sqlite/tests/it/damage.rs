//! Files that are not what they should be.

use std::fs;
use std::os::unix::fs::FileExt;

use futures::TryStreamExt;
use grange_interfaces::{Claim, Datastore, StoreError};
use grange_model::{Record, Seq};

use crate::support::{Place, Writer, assert_whole, open};

/// A closed database with this many commits.
async fn written(commits: u32) -> Place {
    let place = Place::new();
    let mut writer = Writer::claim(open(&place.path()).unwrap()).await;
    for _ in 0..commits {
        writer.write().await.unwrap();
    }
    place
}

fn corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>, why: &str) {
    match result {
        Err(StoreError::Corrupt(said)) => assert!(said.contains(why), "`{why}` in `{said}`"),
        other => panic!("{why}: {other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = Place::new();
    let text = "This is the operator's diary, and it is no database at all. ".repeat(100);
    fs::write(place.path(), &text).unwrap();
    corrupt(open(&place.path()), "not a database");
    assert_eq!(fs::read_to_string(place.path()).unwrap(), text);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    let place = Place::new();
    place
        .raw()
        .execute_batch("CREATE TABLE diary (entry TEXT)")
        .unwrap();
    let before = fs::read(place.path()).unwrap();
    corrupt(open(&place.path()), "another program");
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let place = written(3).await;
    place
        .raw()
        .execute("INSERT INTO migration VALUES (4, '0004-later', 'x')", [])
        .unwrap();
    let refused = open(&place.path()).map(drop);
    assert_eq!(refused, Err(StoreError::NewerSchema { found: 4, known: 3 }));
}

#[tokio::test]
async fn a_schema_that_was_changed_is_refused() {
    let place = written(3).await;
    place
        .raw()
        .execute("UPDATE migration SET checksum = 'x'", [])
        .unwrap();
    corrupt(open(&place.path()), "not made by the migration");
    let place = written(3).await;
    place.raw().execute("DROP TABLE lost_input", []).unwrap();
    corrupt(open(&place.path()), "lost_input");
    let place = written(3).await;
    place.raw().execute("DELETE FROM position", []).unwrap();
    corrupt(open(&place.path()), "position");
}

/// Pages of garbage: whatever is asked gives `Corrupt` or the truth, and the check finds them.
#[tokio::test]
async fn garbage_in_the_file_is_found() {
    let place = written(300).await;
    let length = fs::metadata(place.path()).unwrap().len();
    assert!(length > 70 * 4096, "{length}");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.path())
        .unwrap();
    for page in 40..60 {
        file.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
    let store = open(&place.path()).unwrap();
    match store.check().await {
        Err(StoreError::Corrupt(_)) => {}
        Ok(report) => assert!(!report.problems.is_empty(), "the check found nothing"),
        Err(other) => panic!("{other}"),
    }
}

/// Only SQLite's own check compares indexes with tables: this one now says that it holds all builds that did not end as
/// `other`, and holds those that did not succeed.
#[tokio::test]
async fn an_index_that_lacks_rows_is_found() {
    let place = written(9).await;
    let lacks = "PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, 'succeeded', 'other')
        WHERE name = 'finished_badly';";
    place.raw().execute_batch(lacks).unwrap();
    let problems = open(&place.path()).unwrap().check().await.unwrap().problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("index finished_badly")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_hundred_problems_are_told() {
    let place = written(120).await;
    place
        .raw()
        .execute("UPDATE finished SET system = 'other'", [])
        .unwrap();
    let problems = open(&place.path()).unwrap().check().await.unwrap().problems;
    assert_eq!(problems.len(), 100);
}

#[tokio::test]
async fn a_file_that_was_cut_is_found() {
    let place = written(300).await;
    let length = fs::metadata(place.path()).unwrap().len();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.path())
        .unwrap();
    file.set_len(length / 2 / 4096 * 4096).unwrap();
    let found = match open(&place.path()) {
        Err(error) => Err(error),
        Ok(store) => store.check().await.map(|report| report.problems),
    };
    match found {
        Err(StoreError::Corrupt(_)) => {}
        Ok(problems) => assert!(!problems.is_empty(), "the check found nothing"),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_live_record_that_does_not_decode_stops_the_start() {
    for (change, why) in [
        ("UPDATE hook SET record = x'01ff'", "damaged"),
        ("UPDATE hook SET record = x'63'", "version 99"),
        ("UPDATE hook SET record = x''", "empty"),
        ("INSERT INTO agent SELECT x'00', record FROM hook", "gave"),
        (
            "INSERT INTO build VALUES (0, zeroblob(20), x'01')",
            "which is not there",
        ),
    ] {
        let place = written(3).await;
        place.raw().execute(change, []).unwrap();
        let store = open(&place.path()).unwrap();
        let term = store.claim(Claim::Exclusive).await.unwrap().term;
        let loaded: Result<Vec<Record>, _> = store.load(term).try_concat().await;
        corrupt(loaded, why);
        let problems = store.check().await.unwrap().problems;
        assert!(!problems.is_empty(), "{change}");
    }
}

/// What SQLite itself cannot see.
#[tokio::test]
async fn the_check_finds_what_does_not_agree() {
    for (change, why) in [
        ("DELETE FROM lost_input", "lost input"),
        (
            "DELETE FROM finished_tag WHERE key = 'project'",
            "its tag `project`",
        ),
        (
            "INSERT INTO finished_tag VALUES ('a', 'b', zeroblob(16))",
            "`finished_tag` has",
        ),
        (
            "UPDATE finished_count SET count = count + 1",
            "were counted",
        ),
        ("UPDATE finished SET system = 'other'", "other columns"),
        ("DELETE FROM finished", "were counted"),
        (
            "DELETE FROM journal WHERE first_fact = 4",
            "fact 4 is missing",
        ),
        (
            "DELETE FROM journal WHERE first_fact = 9",
            "ends with fact 8 instead of 9",
        ),
        (
            "UPDATE journal SET facts = x'01' WHERE first_fact = 4",
            "the facts from 4 on",
        ),
        ("UPDATE hook SET name = 'x'", "a row of `hook`"),
    ] {
        let place = written(9).await;
        place.raw().execute(change, []).unwrap();
        let store = open(&place.path()).unwrap();
        let problems = store.check().await.unwrap().problems;
        assert!(
            problems.iter().any(|problem| problem.contains(why)),
            "{change}: {problems:?}"
        );
    }
    let place = written(9).await;
    let writer = Writer::claim(open(&place.path()).unwrap()).await;
    assert_whole(&writer.store, writer.term, Seq(9)).await;
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_said_to_be() {
    let place = Place::new();
    let path = place.0.path().join("missing/grange.db");
    match open(&path) {
        Err(StoreError::Unavailable(said)) => assert!(said.contains("missing/grange.db"), "{said}"),
        other => panic!("{other:?}"),
    }
}
