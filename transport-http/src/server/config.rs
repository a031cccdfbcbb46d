//! How a server is set up.

use crate::{Limits, Tls};

/// How a server is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// What it lets others do.
    pub limits: Limits,
    /// Its certificate, if it shall speak TLS. Default: none. Without it, passwords travel readable
    /// over the network.
    pub tls: Option<Tls>,
    /// Whether a caller without credentials is [`Peer::Local`](grange_interfaces::Peer::Local), who
    /// may do everything, rather than anonymous. Default: false. For Unix sockets, and for streams
    /// whose other end is known; a TCP listener refuses it.
    pub trusted: bool,
    /// Program and version, for `GET /` and the `Server` header. Default: `grange`.
    pub software: String,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            tls: None,
            trusted: false,
            software: "grange".into(),
        }
    }
}
