//! Ordered migrations.

use grange_fail_points::{Point, reach};
use grange_interfaces::StoreError;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sha2::{Digest, Sha256};

use crate::error::at;

/// What the file's header says that it is ("Grng"): <https://www.sqlite.org/pragma.html#pragma_application_id>.
const APPLICATION: i32 = 0x4772_6e67;

/// One step from an older schema to a newer one. A step that was released is never changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// All of them; the first makes schema 1.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        name: "0001-records",
        sql: include_str!("../schema/0001-records.sql"),
    },
    Migration {
        name: "0002-upstream",
        sql: include_str!("../schema/0002-upstream.sql"),
    },
    Migration {
        name: "0003-history",
        sql: include_str!("../schema/0003-history.sql"),
    },
];

impl Migration {
    fn checksum(&self) -> String {
        Sha256::digest(self.sql)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Where a database stands, found out without writing to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is in it.
    Empty,
    /// It has this schema, older than the newest.
    Older(u32),
    /// It has the newest schema.
    Current,
}

/// Looks where the database stands.
///
/// # Errors
///
/// `Corrupt` if it is no database of Grange, or what made it is not what this program knows;
/// `NewerSchema`.
pub(crate) fn standing(
    connection: &Connection,
    migrations: &[Migration],
) -> Result<Standing, StoreError> {
    let failed = "cannot read the schema";
    let application: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(at(failed))?;
    let objects: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(at(failed))?;
    if application == 0 && objects == 0 {
        return Ok(Standing::Empty);
    }
    if application != APPLICATION {
        return Err(StoreError::Corrupt(
            "the file is a SQLite database of another program".into(),
        ));
    }
    let mut statement = connection
        .prepare("SELECT version, checksum FROM migration ORDER BY version")
        .map_err(at(failed))?;
    let applied = statement
        .query_map([], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?))
        })
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(at(failed))?;
    let known = number(migrations.len());
    let found = applied.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    for (expected, (version, checksum)) in (1..).zip(&applied) {
        let migration = usize::try_from(expected - 1)
            .ok()
            .and_then(|index| migrations.get(index));
        if *version != expected
            || migration.is_none_or(|migration| migration.checksum() != *checksum)
        {
            return Err(StoreError::Corrupt(format!(
                "schema {version} was not made by the migration that this program knows"
            )));
        }
    }
    Ok(if found == known {
        Standing::Current
    } else {
        Standing::Older(found)
    })
}

/// Brings the database to the newest schema, all steps in one transaction.
pub(crate) fn migrate(
    connection: &mut Connection,
    migrations: &[Migration],
) -> Result<(), StoreError> {
    let failed = "cannot bring the schema up to date";
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(at(failed))?;
    // Looked at again: another process may have been here first.
    let found = match standing(&transaction, migrations)? {
        Standing::Current => return Ok(()),
        Standing::Older(found) => found,
        Standing::Empty => {
            transaction
                .execute_batch(&format!(
                    "PRAGMA application_id = {APPLICATION};
                     CREATE TABLE migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT;"
                ))
                .map_err(at(failed))?;
            0
        }
    };
    for (version, migration) in (1..)
        .zip(migrations)
        .filter(|(version, _)| *version > found)
    {
        let failed = format!("cannot make schema {version} ({})", migration.name);
        transaction
            .execute_batch(migration.sql)
            .map_err(at(&failed))?;
        transaction
            .execute(
                "INSERT INTO migration VALUES (?1, ?2, ?3)",
                (version, migration.name, migration.checksum()),
            )
            .map_err(at(&failed))?;
        tracing::info!(version, name = migration.name, "made a schema");
    }
    reach(Point::SchemaWritten);
    transaction.commit().map_err(at(failed))?;
    reach(Point::SchemaCommitted);
    Ok(())
}

/// Whether the one row is there that every commit goes through.
pub(crate) fn check_position(connection: &Connection) -> Result<(), StoreError> {
    connection
        .query_row("SELECT term FROM position WHERE id = 1", [], |_| Ok(()))
        .optional()
        .map_err(at("cannot read the position"))?
        .ok_or_else(|| StoreError::Corrupt("the database has no position".into()))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration {
        name: "one",
        sql: "CREATE TABLE a (x INTEGER);",
    };
    const TWO: Migration = Migration {
        name: "two",
        sql: "ALTER TABLE a ADD COLUMN y TEXT; INSERT INTO a VALUES (1, 'z');",
    };
    const BROKEN: Migration = Migration {
        name: "broken",
        sql: "INSERT INTO a VALUES (2, 'w'); CREATE TABLE nonsense;",
    };

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn steps_are_taken_in_order_and_once() {
        let mut database = memory();
        assert_eq!(standing(&database, &[ONE]), Ok(Standing::Empty));
        migrate(&mut database, &[ONE]).unwrap();
        assert_eq!(standing(&database, &[ONE]), Ok(Standing::Current));
        assert_eq!(standing(&database, &[ONE, TWO]), Ok(Standing::Older(1)));
        migrate(&mut database, &[ONE, TWO]).unwrap();
        migrate(&mut database, &[ONE, TWO]).unwrap();
        let rows: i64 = database
            .query_row("SELECT count(*) FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1);
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_behind() {
        let mut database = memory();
        migrate(&mut database, &[ONE]).unwrap();
        assert!(migrate(&mut database, &[ONE, TWO, BROKEN]).is_err());
        assert_eq!(standing(&database, &[ONE]), Ok(Standing::Current));
        assert!(database.prepare("SELECT y FROM a").is_err());
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut database = memory();
        migrate(&mut database, &[ONE, TWO]).unwrap();
        let refused = Err(StoreError::NewerSchema { found: 2, known: 1 });
        assert_eq!(standing(&database, &[ONE]), refused);
    }

    #[test]
    fn a_changed_step_is_refused() {
        let mut database = memory();
        migrate(&mut database, &[ONE, TWO]).unwrap();
        let changed = Migration {
            sql: "CREATE TABLE a (x TEXT);",
            ..ONE
        };
        assert!(matches!(
            standing(&database, &[changed, TWO]),
            Err(StoreError::Corrupt(_))
        ));
        database
            .execute("DELETE FROM migration WHERE version = 1", [])
            .unwrap();
        assert!(matches!(
            standing(&database, &[ONE, TWO]),
            Err(StoreError::Corrupt(_))
        ));
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let database = memory();
        database.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(
            standing(&database, MIGRATIONS),
            Err(StoreError::Corrupt(_))
        ));
    }

    #[test]
    fn released_steps_do_not_change() {
        let sums: Vec<_> = MIGRATIONS
            .iter()
            .map(|step| (step.name, step.checksum()))
            .collect();
        let expected = include_str!("../schema/checksums.txt");
        let found: String = sums
            .iter()
            .map(|(name, sum)| format!("{sum}  {name}.sql\n"))
            .collect();
        assert_eq!(found, expected);
    }
}
