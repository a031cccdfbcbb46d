//! Which finished builds.

use grange_interfaces::{FinishedFilter, Page, StoreError};
use grange_model::{BuildId, BuildState, Digest, FinishedBuild};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::error::at;
use crate::finished::finished;

const FAILED: &str = "cannot read finished builds";

/// Finished builds behind `after`, in the order of their ids.
pub(crate) fn page(
    connection: &Connection,
    filter: &FinishedFilter,
    after: Option<BuildId>,
    limit: usize,
) -> Result<Page<FinishedBuild>, StoreError> {
    let Query { sql, mut values } = query(filter, after);
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    values.push(Value::Integer(most));
    let mut statement = connection.prepare_cached(&sql).map_err(at(FAILED))?;
    let mut rows = statement
        .query(params_from_iter(values))
        .map_err(at(FAILED))?;
    let mut page = Page {
        entries: Vec::new(),
        more: false,
    };
    while let Some(row) = rows.next().map_err(at(FAILED))? {
        if page.entries.len() == limit {
            page.more = true;
            break;
        }
        let id = build_id(
            row.get_ref(0)
                .and_then(|value| Ok(value.as_blob()?))
                .map_err(at(FAILED))?,
        )?;
        let record = row
            .get_ref(1)
            .and_then(|value| Ok(value.as_blob()?))
            .map_err(at(FAILED))?;
        page.entries.push(finished(id, record)?);
    }
    Ok(page)
}

/// For each of these outputs, whether a finished build lost it.
pub(crate) fn are_lost(
    connection: &Connection,
    outputs: &[Digest],
) -> Result<Vec<bool>, StoreError> {
    let sql = "SELECT 1 FROM lost_input WHERE output = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(at(FAILED))?;
    let lost = outputs.iter().map(|output| statement.exists([output.0]));
    lost.collect::<Result<_, _>>().map_err(at(FAILED))
}

/// The build in a column of 16 bytes.
pub(crate) fn build_id(bytes: &[u8]) -> Result<BuildId, StoreError> {
    uuid::Uuid::from_slice(bytes)
        .map(BuildId)
        .map_err(|error| StoreError::Corrupt(format!("a build's id: {error}")))
}

struct Query {
    sql: String,
    values: Vec<Value>,
}

/// The statement goes along the index that leaves the fewest builds, as far as one can tell from
/// the filter alone; each gives its builds in the order of their ids.
fn query(filter: &FinishedFilter, after: Option<BuildId>) -> Query {
    let badly = filter
        .state
        .is_some_and(|state| state != BuildState::Succeeded);
    let mut tags = filter.tags.iter();
    let mut values = Vec::new();
    let mut conditions = Vec::new();
    let (from, id) = if let Some(output) = filter.lost_input {
        conditions.push("l.output = ?");
        values.push(Value::Blob(output.0.to_vec()));
        (
            "lost_input l CROSS JOIN finished f ON f.id = l.build",
            "l.build",
        )
    } else if filter.derivation.is_some() {
        ("finished f INDEXED BY finished_by_derivation", "f.id")
    } else if let Some((key, value)) = tags.next() {
        conditions.push("t.key = ? AND t.value = ?");
        values.extend([Value::Text(key.clone()), Value::Text(value.clone())]);
        (
            "finished_tag t CROSS JOIN finished f ON f.id = t.build",
            "t.build",
        )
    } else if badly {
        ("finished f INDEXED BY finished_badly", "f.id")
    } else if filter.system.is_some() {
        ("finished f INDEXED BY finished_by_system", "f.id")
    } else {
        ("finished f", "f.id")
    };
    for (key, value) in tags {
        conditions.push(
            "EXISTS (SELECT 1 FROM finished_tag o WHERE o.key = ? AND o.value = ? AND o.build = f.id)",
        );
        values.extend([Value::Text(key.clone()), Value::Text(value.clone())]);
    }
    if let Some(derivation) = filter.derivation {
        conditions.push("f.derivation = ?");
        values.push(Value::Blob(derivation.0.to_vec()));
    }
    if let Some(state) = filter.state {
        // The partial index is usable only if its condition stands here.
        conditions.push(if badly {
            "f.state = ? AND f.state <> 'succeeded'"
        } else {
            "f.state = ?"
        });
        values.push(Value::Text(state.as_str().to_owned()));
    }
    if let Some(system) = &filter.system {
        conditions.push("f.system = ?");
        values.push(Value::Text(system.clone()));
    }
    let behind = format!("{id} > ?");
    if let Some(after) = after {
        conditions.push(&behind);
        values.push(Value::Blob(after.0.as_bytes().to_vec()));
    }
    let conditions = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    let sql = format!("SELECT f.id, f.record FROM {from}{conditions} ORDER BY {id} LIMIT ?");
    Query { sql, values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    /// No filter makes SQLite sort, and each goes along the index that it names.
    #[test]
    fn every_filter_has_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, schema::MIGRATIONS).unwrap();
        for bits in 0..32_u8 {
            let given = |bit: u8| bits & 1 << bit != 0;
            let filter = FinishedFilter {
                state: given(0).then_some(BuildState::Failed),
                tags: if given(1) {
                    vec![("a".into(), "b".into()), ("c".into(), "d".into())]
                } else {
                    vec![]
                },
                system: given(2).then(|| "x86_64-linux".into()),
                derivation: given(3).then_some(Digest([1; 20])),
                lost_input: given(4).then_some(Digest([2; 20])),
            };
            for after in [None, Some(BuildId(uuid::Uuid::nil()))] {
                let Query { sql, mut values } = query(&filter, after);
                values.push(Value::Integer(10));
                let mut statement = connection
                    .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                    .unwrap();
                let plan: Vec<String> = statement
                    .query_map(params_from_iter(values), |row| row.get(3))
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                let plan = plan.join("\n");
                assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
                assert!(bits == 0 || plan.starts_with("SEARCH"), "{sql}\n{plan}");
            }
        }
    }
}
