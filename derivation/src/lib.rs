//! The formats of Guix and Nix, as pure functions and values: derivations, store paths, hashes, archives.
//!
//! Guix and Nix share one set of formats; where they differ, the difference is a value ([`Dialect`]), not a
//! branch in the caller. Everything in a derivation is bytes: nothing here assumes UTF-8.
//!
//! | module or type | what it does |
//! |---|---|
//! | [`StoreDir`], [`StorePath`], [`Dialect`] | `/gnu/store/HASH-NAME`, taken apart and put together |
//! | [`paths`] | the rules by which store paths follow from contents |
//! | [`struct@Hash`], [`HashAlgo`], [`base32`] | hashes in all the notations that derivations and narinfos use |
//! | [`Derivation`] | a `.drv`: strict parser, byte-exact printer |
//! | [`derivation_hash`], [`masked_hash`], [`verify_outputs`] | what output paths follow from, and whether a `.drv` tells the truth |
//! | [`Options`] | the environment variables that daemons, not builders, read |
//! | [`Builder`] | writing derivations without Guix or Nix at hand |
//! | [`nar`] | archives: a push decoder, an encoder, a checker, files |
//! | [`refs`] | which store items a stream of bytes mentions |
//! | [`graph`] | closures, inputs first, cycles named |
//! | [`nix_json()`] | what `nix show-derivation` prints |
//!
//! **Invariant:** no I/O. Readers and writers come from the caller; only [`nar::fs`] opens files.
//!
//! ```
//! use grange_derivation::{Builder, Derivation, StoreDir};
//!
//! let store = StoreDir::guix();
//! let hello = Builder::new(&store, "hello", "x86_64-linux", "/bin/sh")
//!     .arg("-c")
//!     .arg("echo hello > $out")
//!     .instantiate()?;
//! let read = Derivation::parse(&store, "hello", &hello.text)?;
//! assert_eq!(read, hello.derivation);
//! assert_eq!(read.print(), hello.text);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod base32;
mod base64;
mod builder;
mod derivation;
mod dialect;
pub mod graph;
mod hash;
mod name;
pub mod nar;
mod nix_json;
mod options;
pub mod paths;
pub mod refs;
mod store_dir;
mod store_path;

pub use builder::{Builder, BuilderError, Instantiated};
pub use derivation::{
    Derivation, DerivationHash, FixedOutput, Output, OutputName, ParseError, ParseErrorKind,
    PathsError, UnknownInput, VerifyError, derivation_hash, masked_hash, verify_outputs,
};
pub use dialect::Dialect;
pub use hash::{Hash, HashAlgo, HashError, Hasher};
pub use name::NameError;
pub use nix_json::{NixJsonError, nix_json};
pub use options::{Options, OptionsError, Reference};
pub use store_dir::{StoreDir, StoreDirError};
pub use store_path::{StorePath, StorePathError};
