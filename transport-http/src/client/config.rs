//! How a client is set up.

use std::path::PathBuf;
use std::time::Duration;

use crate::Pem;

/// Which HTTP a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// Over TLS what the server prefers; otherwise HTTP/1.1, which costs least on loopback.
    #[default]
    Auto,
    /// HTTP/1.1: a connection for each call that runs.
    Http1,
    /// HTTP/2: one connection for all calls. Without TLS the server must be known to speak it, as
    /// ours do.
    Http2,
}

/// How a client is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Whom to trust with https. Default: what most Linux systems keep in
    /// `/etc/ssl/certs/ca-certificates.crt`. It is read only for an https URL.
    pub ca: Pem,
    /// Which HTTP to speak.
    pub http: HttpVersion,
    /// How long connecting may take, TLS included: 10 s.
    pub connect_time: Duration,
    /// How long the coordinator may take to answer, beyond what a long poll waits, once it has all of
    /// the message and its body: 30 s.
    pub answer_time: Duration,
    /// The same for messages upon which the coordinator verifies or writes much (`Report`,
    /// `PutItems`, `PutDerivations`, `Obtain`, `Submit`, `Held`, `Prune`, `Sweep`, `ImportHistory`): 10 min.
    pub work_time: Duration,
    /// How long to wait for the next bytes of an answer's body: 60 s.
    pub stall_time: Duration,
    /// How long to keep an unused connection: 60 s. Less than the server keeps it.
    pub idle_time: Duration,
    /// How many unused HTTP/1.1 connections to keep: 32.
    pub idle_connections: usize,
    /// Bytes of an answer's line: 64 MiB.
    pub answer_bytes: usize,
    /// Program and version, for the coordinator's logs. Default: `grange`.
    pub software: String,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            ca: Pem::File(PathBuf::from("/etc/ssl/certs/ca-certificates.crt")),
            http: HttpVersion::Auto,
            connect_time: Duration::from_secs(10),
            answer_time: Duration::from_secs(30),
            work_time: Duration::from_secs(600),
            stall_time: Duration::from_secs(60),
            idle_time: Duration::from_secs(60),
            idle_connections: 32,
            answer_bytes: 64 << 20,
            software: "grange".into(),
        }
    }
}
