//! What stock clients of Guix and Nix fetch from a farm.
//!
//! A [`Substitutes`] is a [`Site`](grange_interfaces::Site) over what a coordinator has: any HTTP server that serves
//! sites can serve it, `grange-transport-http`'s for one. It only reads, so it may run on a replica.
//!
//! | path | what |
//! |---|---|
//! | `/guix/nix-cache-info`, `/nix/nix-cache-info` | the store directory that the cache is for |
//! | `/guix/HASH.narinfo`, `/nix/HASH.narinfo` | what is known of an item, signed |
//! | `/guix/nar/COMPRESSION/BASENAME`, `/nix/nar/COMPRESSION/BASENAME` | its nar, with ranges and `ETag` |
//! | `/guix/log/DRV`, `/nix/log/DRV` | the log of a derivation's newest finished build, for `nix log` |
//! | `/guix/file/NAME/sha256/HASH` | a source by its content, for Guix's fallback |
//!
//! So a Guix client is given `--substitute-urls=http://HOST:PORT/guix`, a Nix client `--substituters
//! http://HOST:PORT/nix`.
//!
//! A narinfo is published only if the item is here, and its whole closure is here or on substitute servers of others, so
//! that it can be fetched whole or not at all; what others have, clients fetch from them. Signatures are made when
//! somebody asks; they are not stored. Formats: narinfo as in `grange-signatures`; the paths of `guix publish` (<https://guix.gnu.org/manual/en/html_node/Invoking-guix-publish.html>) and of Nix's
//! HTTP binary cache store.
//!
//! Nars lie in the farm compressed with Zstandard, which not every client reads. With a [`Bakery`], they are offered with
//! gzip, lzip or without compression as well. Such a nar is made when it is first asked for: that client gets it as it is
//! made, in chunks, without a length; its narinfo has no `FileSize` for it until then. Later it is served from the
//! bakery's directory like any other file, as long as it lies there.

mod bakery;
mod closure;
mod compression;
mod config;
mod file;
mod nar;
mod narinfo;
mod range;
mod remembered;
mod reply;
mod route;
mod site;

pub use bakery::Bakery;
pub use compression::{NarCompression, UnknownCompression};
pub use config::{Cache, GuixKey, SubstitutesConfig};
pub use site::Substitutes;
