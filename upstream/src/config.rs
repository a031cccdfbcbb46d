//! How the client is set up.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use grange_signatures::TrustedKeys;

use crate::ServerUrl;

/// How [`SubstituteServers`](crate::SubstituteServers) are set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The servers, in the order in which they are asked.
    pub servers: Vec<ServerUrl>,
    /// Whose signatures count, whatever server shows them.
    pub keys: TrustedKeys,
    /// PEM of the CAs that are trusted with https. Default: what most Linux systems keep in
    /// `/etc/ssl/certs/ca-certificates.crt`. It is read only if a server's URL is of https.
    pub ca: PathBuf,
    /// How long connecting may take: 5 s.
    pub connect_time: Duration,
    /// How long a narinfo may take, and the beginning of a nar, connecting included: 15 s.
    pub answer_time: Duration,
    /// How long a nar may stall. All waiting for it counts, beyond a second for each 32 KiB that came: 30 s.
    pub stall_time: Duration,
    /// How long one search may take; what was not found by then is unavailable: 2 min.
    pub find_time: Duration,
    /// How many narinfos to ask one server for at once: 16. More is faster where the server is far, and ruder.
    pub requests: usize,
    /// How long to keep an unused connection: 60 s.
    pub idle_time: Duration,
    /// How long to believe that an item is there: 10 min. Longer costs a failed fetch where the server has deleted it.
    pub found_time: Duration,
    /// How long to believe that an item is not there: 10 s.
    pub missing_time: Duration,
    /// How many answers of each kind to remember, of each server: 16,384, some 20 MB.
    pub remembered: usize,
    /// How long not to take an item from a server that gave another for it: 10 min.
    pub lie_time: Duration,
    /// How long to leave a server alone that did not answer: 10 s. It doubles with each time up to
    /// [`Config::back_off_most`].
    pub back_off: Duration,
    /// The longest to leave a server alone: 2 min.
    pub back_off_most: Duration,
    /// Program and version, for the servers' logs. Default: `grange`.
    pub software: String,
}

impl Config {
    /// These servers, these keys, and defaults for all else.
    #[must_use]
    pub fn new(servers: Vec<ServerUrl>, keys: TrustedKeys) -> Self {
        Self {
            servers,
            keys,
            ca: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
            connect_time: Duration::from_secs(5),
            answer_time: Duration::from_secs(15),
            stall_time: Duration::from_secs(30),
            find_time: Duration::from_secs(120),
            requests: 16,
            idle_time: Duration::from_secs(60),
            found_time: Duration::from_secs(600),
            missing_time: Duration::from_secs(10),
            remembered: 16_384,
            lie_time: Duration::from_secs(600),
            back_off: Duration::from_secs(10),
            back_off_most: Duration::from_secs(120),
            software: "grange".into(),
        }
    }
}

/// A configuration that cannot be used. It is the operator's turn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There are servers, and nobody is trusted: nothing could ever come from them.
    #[error(
        "there are substitute servers but no trusted keys, so that nothing of theirs would count"
    )]
    NoKeys,
    /// The CAs cannot be read.
    #[error("cannot read the CAs in {}", path.display())]
    Ca {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// There is no CA in the file.
    #[error("{} has no certificate of a CA that can be used", .0.display())]
    NoCa(PathBuf),
}
