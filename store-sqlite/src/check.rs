//! The full check.

use grange_interfaces::StoreError;
use grange_model::{BuildState, Digest, FinishedBuild, Record, decode};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::commit::number;
use crate::error::at;
use crate::finished::finished;
use crate::query::build_id;
use crate::read::facts_of;

/// At most this many problems are told.
const MOST: usize = 100;
const FAILED: &str = "cannot go on with the check";

/// What [`SqliteDatastore::check`](crate::SqliteDatastore::check) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// How many records were read.
    pub records: u64,
    /// How many facts were read.
    pub facts: u64,
    /// What is wrong, at most 100 of it. Empty if the database is sound.
    pub problems: Vec<String>,
}

impl CheckReport {
    fn problem(&mut self, problem: String) {
        if self.problems.len() < MOST {
            self.problems.push(problem);
        }
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(StoreError::Corrupt(problem)) => {
                self.problem(problem);
                None
            }
            Err(other) => {
                self.problem(other.to_string());
                None
            }
        }
    }
}

/// What lies in a table: its name, its key's column, and the key that a record belongs under.
type Table = (
    &'static str,
    &'static str,
    fn(&Record, &Row<'_>) -> rusqlite::Result<bool>,
);

const TABLES: [Table; 9] = [
    ("agent", "id", |record, row| {
        Ok(
            matches!(record, Record::Agent(agent) if row.get_ref(0)?.as_blob()? == agent.id.0.as_bytes()),
        )
    }),
    ("hook", "name", |record, row| {
        Ok(matches!(record, Record::Hook(hook) if row.get_ref(0)?.as_str()? == hook.name))
    }),
    // NUL is in no name of a package.
    ("history", "package || char(0) || system", |record, row| {
        Ok(matches!(record, Record::History(history)
            if row.get_ref(0)?.as_str()? == format!("{}\0{}", history.package, history.system)))
    }),
    ("attempt", "slot", |record, row| {
        Ok(matches!(record, Record::Attempt(attempt) if row.get::<_, u32>(0)? == attempt.id.slot))
    }),
    ("build", "slot", |record, row| {
        Ok(matches!(record, Record::Build(build) if row.get::<_, u32>(0)? == build.slot))
    }),
    ("derivation", "digest", |record, row| {
        Ok(
            matches!(record, Record::Derivation(derivation) if row.get::<_, [u8; 20]>(0)? == derivation.item.digest.0),
        )
    }),
    ("item", "digest", |record, row| {
        Ok(matches!(record, Record::Item(item) if row.get::<_, [u8; 20]>(0)? == item.item.digest.0))
    }),
    ("upstream", "digest", |record, row| {
        Ok(
            matches!(record, Record::Upstream(item) if row.get::<_, [u8; 20]>(0)? == item.item.digest.0),
        )
    }),
    ("failure", "digest", |record, row| {
        Ok(
            matches!(record, Record::Failure(failure) if row.get::<_, [u8; 20]>(0)? == failure.derivation.digest.0),
        )
    }),
];

/// Statements that find what should not be, each with what it finds.
const CROSS_CHECKS: [(&str, &str); 3] = [
    (
        "unfinished builds whose derivation is not there",
        "SELECT count(*) FROM build WHERE derivation NOT IN (SELECT digest FROM derivation)",
    ),
    (
        "tags of builds that are not there",
        "SELECT count(*) FROM finished_tag WHERE build NOT IN (SELECT id FROM finished)",
    ),
    (
        "lost inputs of builds that are not there",
        "SELECT count(*) FROM lost_input WHERE build NOT IN (SELECT id FROM finished)",
    ),
];

/// Reads everything.
pub(crate) fn check(connection: &Connection) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    integrity(connection, &mut report)?;
    for table in TABLES {
        records(connection, table, &mut report)?;
    }
    build_columns(connection, &mut report)?;
    finished_builds(connection, &mut report)?;
    journal(connection, &mut report)?;
    for (what, sql) in CROSS_CHECKS {
        let count: i64 = connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(at(FAILED))?;
        if count != 0 {
            report.problem(format!("there are {count} {what}"));
        }
    }
    Ok(report)
}

/// <https://www.sqlite.org/pragma.html#pragma_integrity_check>: also compares indexes with tables.
fn integrity(connection: &Connection, report: &mut CheckReport) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare("PRAGMA integrity_check")
        .map_err(at(FAILED))?;
    let mut rows = statement.query([]).map_err(at(FAILED))?;
    while let Some(row) = rows.next().map_err(at(FAILED))? {
        let line: String = row.get(0).map_err(at(FAILED))?;
        if line != "ok" {
            report.problem(line);
        }
    }
    Ok(())
}

fn records(
    connection: &Connection,
    (table, key, belongs): Table,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    each(
        connection,
        &format!("SELECT {key}, record FROM {table}"),
        |row| {
            report.records += 1;
            match decode::<Record>(row.get_ref(1)?.as_blob()?) {
                Ok(record) if belongs(&record, row)? => {}
                Ok(record) => {
                    report.problem(format!("a row of `{table}` holds {:?}", record.key()))
                }
                Err(error) => report.problem(format!("a row of `{table}`: {error}")),
            }
            Ok(())
        },
    )
}

/// The `derivation` column of live builds is what `load` goes by.
fn build_columns(connection: &Connection, report: &mut CheckReport) -> Result<(), StoreError> {
    each(
        connection,
        "SELECT slot, derivation, record FROM build",
        |row| {
            let column = Digest(row.get(1)?);
            if let Ok(Record::Build(build)) = decode(row.get_ref(2)?.as_blob()?)
                && build.spec.derivation != column
            {
                report.problem(format!(
                    "build {} is under another derivation",
                    build.spec.id
                ));
            }
            Ok(())
        },
    )
}

fn finished_builds(connection: &Connection, report: &mut CheckReport) -> Result<(), StoreError> {
    let mut counts = [0_i64; BuildState::ALL.len()];
    let mut tags = 0_i64;
    let mut lost = 0_i64;
    each(
        connection,
        "SELECT id, state, system, derivation, record FROM finished",
        |row| {
            report.records += 1;
            let found = build_id(row.get_ref(0)?.as_blob()?).and_then(|id| {
                finished(
                    id,
                    row.get_ref(4)
                        .and_then(|value| Ok(value.as_blob()?))
                        .map_err(at(FAILED))?,
                )
            });
            let Some(build) = report.note(found) else {
                return Ok(());
            };
            if row.get_ref(1)?.as_str()? != build.state.as_str()
                || row.get_ref(2)?.as_str()? != build.system
                || row.get::<_, [u8; 20]>(3)? != build.build.spec.derivation.0
            {
                report.problem(format!(
                    "finished build {} is under other columns",
                    build.build.spec.id
                ));
            }
            for (count, state) in counts.iter_mut().zip(BuildState::ALL) {
                *count += i64::from(state == build.state);
            }
            for problem in found_by(connection, &build, &mut tags, &mut lost)? {
                report.problem(problem);
            }
            Ok(())
        },
    )?;
    for (state, expected) in BuildState::ALL.into_iter().zip(counts) {
        let counted: Option<i64> = connection
            .query_row(
                "SELECT count FROM finished_count WHERE state = ?1",
                [state.as_str()],
                |row| row.get(0),
            )
            .optional()
            .map_err(at(FAILED))?;
        if counted.unwrap_or(0) != expected {
            report.problem(format!(
                "{expected} builds ended as {state:?}, and {counted:?} were counted"
            ));
        }
    }
    for (table, expected) in [("finished_tag", tags), ("lost_input", lost)] {
        let rows: i64 = connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .map_err(at(FAILED))?;
        if rows != expected {
            report.problem(format!("`{table}` has {rows} rows instead of {expected}"));
        }
    }
    Ok(())
}

/// Adds how many rows a finished build is found by, and says which of them are not there.
fn found_by(
    connection: &Connection,
    build: &FinishedBuild,
    tags: &mut i64,
    lost: &mut i64,
) -> rusqlite::Result<Vec<String>> {
    let spec = &build.build.spec;
    let id = spec.id.0.as_bytes();
    let mut problems = Vec::new();
    let mut tag = connection.prepare_cached(
        "SELECT 1 FROM finished_tag WHERE key = ?1 AND value = ?2 AND build = ?3",
    )?;
    for (key, value) in &spec.tags {
        *tags += 1;
        if !tag.exists((key, value, id))? {
            problems.push(format!(
                "finished build {} is not found by its tag `{key}`",
                spec.id
            ));
        }
    }
    let mut outputs: Vec<_> = build.causes.iter().map(|cause| cause.output).collect();
    outputs.sort_unstable();
    outputs.dedup();
    let mut cause =
        connection.prepare_cached("SELECT 1 FROM lost_input WHERE output = ?1 AND build = ?2")?;
    for output in outputs {
        *lost += 1;
        if !cause.exists((output.0, id))? {
            problems.push(format!(
                "finished build {} is not found by a lost input",
                spec.id
            ));
        }
    }
    Ok(problems)
}

fn journal(connection: &Connection, report: &mut CheckReport) -> Result<(), StoreError> {
    let mut next = 1_u64;
    each(
        connection,
        "SELECT first_fact, facts FROM journal ORDER BY first_fact",
        |row| {
            let first = number(row.get(0)?);
            if first != next {
                report.problem(format!("fact {next} is missing: the next is {first}"));
            }
            let count = match facts_of(first, row.get_ref(1)?.as_blob()?) {
                Ok(facts) => facts.len() as u64,
                Err(error) => {
                    report.problem(error.to_string());
                    0
                }
            };
            report.facts += count;
            next = first.saturating_add(count);
            Ok(())
        },
    )?;
    let last: i64 = connection
        .query_row("SELECT fact FROM position WHERE id = 1", [], |row| {
            row.get(0)
        })
        .map_err(at(FAILED))?;
    if number(last) != next - 1 {
        report.problem(format!(
            "the journal ends with fact {} instead of {}",
            next - 1,
            number(last)
        ));
    }
    Ok(())
}

fn each(
    connection: &Connection,
    sql: &str,
    mut visit: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare(sql).map_err(at(FAILED))?;
    let mut rows = statement.query([]).map_err(at(FAILED))?;
    while let Some(row) = rows.next().map_err(at(FAILED))? {
        visit(row).map_err(at(FAILED))?;
    }
    Ok(())
}
