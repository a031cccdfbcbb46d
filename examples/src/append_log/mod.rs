//! A Datastore of an embedder's own: a plain file to which every commit is appended.
//!
//! It is small on purpose: all records are in memory as well, so it suits farms whose history fits
//! there. What it shows is what the contract asks of any Datastore. That it keeps the contract is
//! proven by `grange_testing::datastore_conformance!`, with one line in `tests/own/datastore.rs`.
//!
//! # The file
//!
//! It begins with eight bytes that say what it is. Then come entries: the length of the payload in
//! bytes (32 bits, little-endian), the first four bytes of the SHA-256 of these, the first eight bytes
//! of the payload's SHA-256, and the payload, which is a claim of a term or a commit. An entry is
//! acknowledged once it is synced. When the file is opened, all entries are applied again; what is
//! torn at its end was never acknowledged, and is cut off by the next that writes. What is wrong
//! anywhere else is damage, and is refused: it is why a length is proven by itself, since one that
//! is too large would make an end of everything behind it.
//!
//! # Several processes
//!
//! Who writes locks the file for that moment, reads what others have appended, and looks at the
//! term: so a coordinator that was fenced writes nothing any more. Who reads does the same without
//! a lock, and sees whole entries only. Beside it lies a file `….holder`, which is locked as long as
//! a coordinator has claimed the store: that is how an exclusive claim finds out.

mod datastore;
mod file;
mod state;

pub use datastore::AppendLog;
