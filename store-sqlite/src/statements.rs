//! The writer's statements, prepared once.

use rusqlite::{Connection, Statement};

/// Declares the struct and its constructor, so that no statement is told apart from its text.
macro_rules! statements {
    ($($name:ident: $sql:expr,)*) => {
        /// Every statement that a commit may need.
        pub(crate) struct Statements<'c> {
            $(pub(crate) $name: Statement<'c>,)*
        }

        impl<'c> Statements<'c> {
            /// Prepares them; fails if the schema is not what it says.
            pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
                Ok(Self { $($name: connection.prepare($sql)?,)* })
            }
        }
    };
}

statements! {
    begin: "BEGIN IMMEDIATE",
    commit: "COMMIT",
    position: "SELECT term, seq, commit_term, fact FROM position WHERE id = 1",
    advance: "UPDATE position SET seq = ?1, commit_term = ?2, fact = ?3 WHERE id = 1",
    claim: "UPDATE position SET term = ?1 WHERE id = 1",
    put_facts: "INSERT INTO journal (first_fact, at, facts) VALUES (?1, ?2, ?3)",
    put_agent: "INSERT INTO agent (id, record) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record",
    put_hook: "INSERT INTO hook (name, record) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record",
    put_history: "INSERT INTO history (package, system, record) VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET record = excluded.record",
    put_attempt: "INSERT INTO attempt (slot, record) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record",
    put_build: "INSERT INTO build (slot, derivation, record) VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET derivation = excluded.derivation, record = excluded.record",
    put_derivation: "INSERT INTO derivation (digest, record) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record",
    put_text: "INSERT INTO derivation_text (digest, text) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET text = excluded.text",
    put_item: "INSERT INTO item (digest, record) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record",
    put_upstream: "INSERT INTO upstream (digest, record) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record",
    put_failure: "INSERT INTO failure (digest, record) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record",
    put_finished: "INSERT INTO finished (id, state, system, derivation, ended_at, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO NOTHING",
    put_tag: "INSERT INTO finished_tag (key, value, build) VALUES (?1, ?2, ?3)",
    put_lost_input: "INSERT INTO lost_input (output, build) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    add_count: "INSERT INTO finished_count (state, count) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET count = count + excluded.count",
    get_finished: "SELECT record FROM finished WHERE id = ?1",
    remove_agent: "DELETE FROM agent WHERE id = ?1",
    remove_hook: "DELETE FROM hook WHERE name = ?1",
    remove_history: "DELETE FROM history WHERE package = ?1 AND system = ?2",
    remove_attempt: "DELETE FROM attempt WHERE slot = ?1",
    remove_build: "DELETE FROM build WHERE slot = ?1",
    remove_derivation: "DELETE FROM derivation WHERE digest = ?1",
    remove_text: "DELETE FROM derivation_text WHERE digest = ?1",
    remove_item: "DELETE FROM item WHERE digest = ?1",
    remove_upstream: "DELETE FROM upstream WHERE digest = ?1",
    remove_failure: "DELETE FROM failure WHERE digest = ?1",
    remove_finished: "DELETE FROM finished WHERE id = ?1",
    remove_tag: "DELETE FROM finished_tag WHERE key = ?1 AND value = ?2 AND build = ?3",
    remove_lost_input: "DELETE FROM lost_input WHERE output = ?1 AND build = ?2",
}
