-- What builds of packages have taken so far. Live.
CREATE TABLE history (package TEXT, system TEXT, record BLOB NOT NULL, PRIMARY KEY (package, system)) STRICT, WITHOUT ROWID;
