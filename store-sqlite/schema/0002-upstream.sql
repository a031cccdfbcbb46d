-- Items that upstream substitute servers have.
CREATE TABLE upstream (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, record BLOB NOT NULL) STRICT;
