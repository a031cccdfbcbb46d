//! What questions read.

use grange_interfaces::{Page, StoreError};
use grange_model::{
    BuildState, DerivationRecord, Digest, Fact, FactNumber, ItemRecord, Key, NumberedFact, Record,
    Timestamp, decode,
};
use rusqlite::{Connection, OptionalExtension, Params, ToSql};

use crate::commit::{number, unsupported};
use crate::error::{at, codec};

const FAILED: &str = "cannot read";

const ITEMS: &str = "SELECT digest, record FROM item WHERE digest > ?1 ORDER BY digest LIMIT ?2";
const DERIVATIONS: &str =
    "SELECT digest, record FROM derivation WHERE digest > ?1 ORDER BY digest LIMIT ?2";

/// The record under a key.
pub(crate) fn get(connection: &Connection, key: &Key) -> Result<Option<Record>, StoreError> {
    let record = |sql: &str, parameter: &dyn ToSql| {
        let bytes = column_of(connection, sql, [parameter])?;
        bytes.map(|bytes| record(key, &bytes)).transpose()
    };
    match key {
        Key::Agent(id) => record("SELECT record FROM agent WHERE id = ?1", id.0.as_bytes()),
        Key::Build(slot) => record("SELECT record FROM build WHERE slot = ?1", slot),
        Key::Attempt(slot) => record("SELECT record FROM attempt WHERE slot = ?1", slot),
        Key::History { package, system } => {
            let sql = "SELECT record FROM history WHERE package = ?1 AND system = ?2";
            let bytes = column_of(connection, sql, [package, system])?;
            bytes.map(|bytes| self::record(key, &bytes)).transpose()
        }
        Key::Hook(name) => record("SELECT record FROM hook WHERE name = ?1", name),
        Key::Derivation(Digest(digest)) => {
            record("SELECT record FROM derivation WHERE digest = ?1", digest)
        }
        Key::Item(Digest(digest)) => record("SELECT record FROM item WHERE digest = ?1", digest),
        Key::Upstream(Digest(digest)) => {
            record("SELECT record FROM upstream WHERE digest = ?1", digest)
        }
        Key::Failure(Digest(digest)) => {
            record("SELECT record FROM failure WHERE digest = ?1", digest)
        }
        Key::Finished(id) => record("SELECT record FROM finished WHERE id = ?1", id.0.as_bytes()),
        Key::DerivationText(derivation) => {
            let sql = "SELECT text FROM derivation_text WHERE digest = ?1";
            let text = column_of(connection, sql, [&derivation.0])?;
            Ok(text.map(|text| Record::DerivationText {
                derivation: *derivation,
                text,
            }))
        }
        unknown => Err(unsupported(unknown)),
    }
}

/// The record in a `record` column that belongs under `key`.
pub(crate) fn record(key: &Key, bytes: &[u8]) -> Result<Record, StoreError> {
    let record: Record = decode(bytes).map_err(|error| codec(&format!("{key:?}"), &error))?;
    if record.key() == *key {
        Ok(record)
    } else {
        Err(StoreError::Corrupt(format!(
            "{key:?} holds {:?}",
            record.key()
        )))
    }
}

/// Items behind `after`, in the order of their digests.
pub(crate) fn items(
    connection: &Connection,
    after: Option<Digest>,
    limit: usize,
) -> Result<Page<ItemRecord>, StoreError> {
    by_digest(
        connection,
        ITEMS,
        after,
        limit,
        |digest, bytes| match record(&Key::Item(digest), bytes)? {
            Record::Item(item) => Ok(item),
            other => Err(misplaced(&Key::Item(digest), &other)),
        },
    )
}

/// Derivations behind `after`, in the order of their digests.
pub(crate) fn derivations(
    connection: &Connection,
    after: Option<Digest>,
    limit: usize,
) -> Result<Page<DerivationRecord>, StoreError> {
    by_digest(
        connection,
        DERIVATIONS,
        after,
        limit,
        |digest, bytes| match record(&Key::Derivation(digest), bytes)? {
            Record::Derivation(derivation) => Ok(derivation),
            other => Err(misplaced(&Key::Derivation(digest), &other)),
        },
    )
}

fn misplaced(key: &Key, found: &Record) -> StoreError {
    StoreError::Corrupt(format!("{key:?} holds {:?}", found.key()))
}

fn by_digest<T>(
    connection: &Connection,
    sql: &str,
    after: Option<Digest>,
    limit: usize,
    read: impl Fn(Digest, &[u8]) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let mut page = Page {
        entries: Vec::new(),
        more: false,
    };
    // The empty blob comes before all digests.
    let after: Vec<u8> = after.map_or_else(Vec::new, |digest| digest.0.to_vec());
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut statement = connection.prepare_cached(sql).map_err(at(FAILED))?;
    let mut rows = statement.query((after, most)).map_err(at(FAILED))?;
    while let Some(row) = rows.next().map_err(at(FAILED))? {
        if page.entries.len() == limit {
            page.more = true;
            break;
        }
        let digest: [u8; 20] = row.get(0).map_err(at(FAILED))?;
        let bytes = row
            .get_ref(1)
            .and_then(|value| Ok(value.as_blob()?))
            .map_err(at(FAILED))?;
        page.entries.push(read(Digest(digest), bytes)?);
    }
    Ok(page)
}

/// Facts behind `after`.
pub(crate) fn facts(
    connection: &Connection,
    after: FactNumber,
    limit: usize,
) -> Result<Page<NumberedFact>, StoreError> {
    let mut page = Page {
        entries: Vec::new(),
        more: false,
    };
    // The row that holds the fact behind `after`, and those that follow.
    let mut statement = connection
        .prepare_cached(
            "SELECT first_fact, at, facts FROM journal
             WHERE first_fact >= coalesce((SELECT max(first_fact) FROM journal WHERE first_fact <= ?1), 0)
             ORDER BY first_fact",
        )
        .map_err(at(FAILED))?;
    let Some(first) = after
        .0
        .checked_add(1)
        .and_then(|first| i64::try_from(first).ok())
    else {
        return Ok(page);
    };
    let mut rows = statement.query([first]).map_err(at(FAILED))?;
    while let Some(row) = rows.next().map_err(at(FAILED))? {
        let first_fact = number(row.get(0).map_err(at(FAILED))?);
        let at_time = Timestamp(number(row.get(1).map_err(at(FAILED))?));
        let bytes = row
            .get_ref(2)
            .and_then(|value| Ok(value.as_blob()?))
            .map_err(at(FAILED))?;
        for (number, fact) in (first_fact..).zip(facts_of(first_fact, bytes)?) {
            if number <= after.0 {
                continue;
            }
            if page.entries.len() == limit {
                page.more = true;
                return Ok(page);
            }
            page.entries.push(NumberedFact {
                number: FactNumber(number),
                at: at_time,
                fact,
            });
        }
    }
    Ok(page)
}

/// The facts in a row of the journal.
pub(crate) fn facts_of(first: u64, bytes: &[u8]) -> Result<Vec<Fact>, StoreError> {
    decode(bytes).map_err(|error| codec(&format!("the facts from {first} on"), &error))
}

/// How many finished builds there are in each state, in the order of the states.
pub(crate) fn count_finished(
    connection: &Connection,
) -> Result<Vec<(BuildState, u64)>, StoreError> {
    let mut counts = Vec::new();
    for state in BuildState::ALL.into_iter().filter(|state| state.is_final()) {
        let count: Option<i64> = connection
            .prepare_cached("SELECT count FROM finished_count WHERE state = ?1")
            .and_then(|mut statement| {
                statement
                    .query_row([state.as_str()], |row| row.get(0))
                    .optional()
            })
            .map_err(at(FAILED))?;
        counts.push((state, number(count.unwrap_or(0))));
    }
    Ok(counts)
}

/// The one column of the one row that there may be.
fn column_of(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
) -> Result<Option<Vec<u8>>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(parameters, |row| row.get(0)).optional())
        .map_err(at(FAILED))
}

/// The newest claim, as a number in the snapshot.
pub(crate) fn newest_term(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .query_row("SELECT term FROM position WHERE id = 1", [], |row| {
            row.get(0)
        })
        .map(number)
        .map_err(at(FAILED))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{DERIVATIONS, ITEMS};
    use crate::commit::{column, number};
    use crate::schema;

    /// Items and derivations come along their index: SQLite does not sort, and begins behind `after`.
    #[test]
    fn lists_have_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, schema::MIGRATIONS).unwrap();
        for sql in [ITEMS, DERIVATIONS] {
            let mut statement = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let plan: Vec<String> = statement
                .query_map((Vec::<u8>::new(), 10), |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let plan = plan.join("\n");
            assert!(
                plan.starts_with("SEARCH") && !plan.contains("TEMP B-TREE"),
                "{plan}"
            );
        }
    }

    #[test]
    fn columns_keep_all_bits() {
        for value in [0, 1, u64::MAX, 1 << 63] {
            assert_eq!(number(column(value)), value);
        }
    }
}
