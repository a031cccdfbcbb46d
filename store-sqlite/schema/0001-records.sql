-- Numbers that are unsigned in Grange (times, terms, fact numbers) keep their 64 bits.
-- Columns named `record` hold grange_model::encode(&Record).

-- Who may write, and how far the journal has come. One row.
CREATE TABLE position (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    term        INTEGER NOT NULL, -- of the newest claim
    seq         INTEGER NOT NULL, -- of the last commit
    commit_term INTEGER NOT NULL, -- under which the last commit was written
    fact        INTEGER NOT NULL  -- the last one
) STRICT;
INSERT INTO position VALUES (1, 0, 0, 0, 0);

-- One row for each commit that has facts: grange_model::encode(&[Fact]).
CREATE TABLE journal (
    first_fact INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    facts      BLOB NOT NULL
) STRICT;

-- Live records.
CREATE TABLE agent (id BLOB PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE hook (name TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE attempt (slot INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;
CREATE TABLE build (
    slot       INTEGER PRIMARY KEY,
    derivation BLOB NOT NULL,
    record     BLOB NOT NULL
) STRICT;

-- What is known of derivations and items. The integer keeps what was written together together.
CREATE TABLE derivation (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, record BLOB NOT NULL) STRICT;
CREATE TABLE derivation_text (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, text BLOB NOT NULL) STRICT;
CREATE TABLE item (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, record BLOB NOT NULL) STRICT;
CREATE TABLE failure (digest BLOB PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- Builds that have ended, in the order of their ids, and what they are found by. Every index ends
-- in the id, so that each gives its builds in that order.
CREATE TABLE finished (
    id         BLOB PRIMARY KEY,
    state      TEXT NOT NULL,
    system     TEXT NOT NULL,
    derivation BLOB NOT NULL,
    ended_at   INTEGER NOT NULL,
    record     BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX finished_by_derivation ON finished (derivation);
CREATE INDEX finished_by_system ON finished (system);
CREATE INDEX finished_badly ON finished (state) WHERE state <> 'succeeded';
CREATE TABLE finished_tag (
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    build BLOB NOT NULL,
    PRIMARY KEY (key, value, build)
) STRICT, WITHOUT ROWID;
-- The lost inputs of builds that ended as failed-dependency.
CREATE TABLE lost_input (
    output BLOB NOT NULL,
    build  BLOB NOT NULL,
    PRIMARY KEY (output, build)
) STRICT, WITHOUT ROWID;
CREATE TABLE finished_count (state TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
