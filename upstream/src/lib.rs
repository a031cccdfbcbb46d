//! What substitute servers of Guix and Nix have: found, verified, fetched.
//!
//! | module | what it does |
//! |---|---|
//! | `servers` | [`SubstituteServers`], the [`Upstream`](grange_interfaces::Upstream): one server after the other |
//! | `cache_info` | which store a server serves |
//! | `server` | one server: which store it serves, its narinfos, what is remembered of it |
//! | `health` | a server that does not answer is left alone for a while |
//! | `remembered` | answers, bounded in number and time |
//! | `http` | requests: time, redirects, one retry |
//! | `url` | where a server is, and where it may send us |
//! | `download` | a nar as it comes: in time, decompressed, hashed, bounded |
//! | `decoder` | gzip, lzip, xz and Zstandard, piece by piece, within a limit of memory |
//! | `keys` | whom to trust, from the files that Guix and Nix have |
//!
//! **Where servers may send us.** Neither the URL of a nar nor a redirect is signed. They are followed to the server's
//! own scheme, host and port, and to https anywhere (servers redirect to the stores of their nars); elsewhere they are
//! refused, so that a server reached over plain HTTP cannot have us ask things of the network that we stand in.
//!
//! **Invariant:** what comes from here was signed by a trusted key, about the path that was asked for; the deriver that
//! a narinfo of Nix names is not signed, and is left out.

mod cache_info;
mod config;
mod decoder;
mod download;
mod health;
mod http;
mod keys;
mod remembered;
mod server;
mod servers;
mod url;

pub use cache_info::store_of_cache_info;
pub use config::{Config, ConfigError};
pub use decoder::Decoder;
pub use keys::{KeysError, add_keys};
pub use servers::SubstituteServers;
pub use url::{ParseUrlError, ServerUrl};
