//! Narinfos: what a substitute server says of an item, and where its nar is, in both dialects.
//!
//! | | Guix | Nix |
//! |---|---|---|
//! | nars | several groups of `URL`, `Compression`, `FileSize` | one |
//! | signature | one, `Signature: 1;HOST;BASE64`, of the SHA-256 of all bytes before it | any number, `Sig: NAME:BASE64`, of a fingerprint of path, hash, size and references |
//! | also | `System` | `CA`, `FileHash` |
//!
//! ```
//! use grange_derivation::{Dialect, StoreDir, StorePath};
//! use grange_signatures::narinfo::{Compression, Facts, Narinfo, Source};
//! use grange_signatures::{TrustedKeys, guix::SecretKey};
//!
//! let key = SecretKey::generate(&[7; 32]); // random bytes, in earnest
//! let path = StorePath::parse_any("/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello")?;
//! let facts = Facts::new(path, [1; 32], 112);
//! let source = Source::new("nar/zstd/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello".parse()?, Compression::Zstd);
//! let text = Narinfo::guix(facts, vec![source], Some((&key, "build.example.org")))?.print();
//!
//! let mut trusted = TrustedKeys::new();
//! trusted.add_guix(*key.public());
//! let read = Narinfo::parse(Dialect::Guix, &StoreDir::guix(), text.as_bytes())?;
//! read.verify(&trusted)?;
//! assert_eq!(read.facts().nar_size, 112);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compression;
mod error;
mod fields;
mod model;
mod parse;
mod print;
mod sign;
mod url;

pub use compression::Compression;
pub use error::{Error, UrlError, ValueError};
pub use model::{Facts, Narinfo, Source};
pub use sign::Signer;
pub use url::NarUrl;
