//! What an operator may choose.

use std::time::Duration;

use grange_coordinator_core::Policy;
use grange_derivation::StoreDir;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How a coordinator runs. [`CoordinatorConfig::default`] suits a small farm.
#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    /// The store directories that derivations may be for. Default: both `/gnu/store` and
    /// `/nix/store`.
    pub store_dirs: Vec<StoreDir>,
    /// Tokens that make a client an operator. Default: none, so that only the Unix socket and the
    /// same process may administer.
    pub admin_tokens: Vec<TokenHash>,
    /// Who gets what first. Default: priority, then age; the agent that has most room.
    pub policy: Policy,
    /// How long an agent is counted on that is not heard of. Default: 60 s. Shorter: builds of a
    /// lost agent go to others sooner; longer: a slow network costs fewer double builds.
    pub lease: Duration,
    /// What a build may take that says nothing itself.
    pub default_limits: Limits,
    /// How long a failure is remembered: until then the derivation fails at once. Default: 30 days.
    pub remember_failures: Duration,
    /// How long a cancellation is remembered: until then builds that need the output end as
    /// failed-dependency. Default: 10 minutes.
    pub remember_cancels: Duration,
    /// How long an agent gets no attempt of a build that it had a setup failure of; doubled each
    /// time. Default: 30 s.
    pub setup_backoff: Duration,
    /// How long an agent may have a build beside twice its limit of time; after that it counts as a setup failure. Default: 6 h.
    pub hold: Duration,
    /// The largest log, in bytes; what comes after is dropped. Default: 1 GiB.
    pub max_log: u64,
    /// The largest output as it is sent, in compressed bytes. Default: 64 GiB.
    pub max_output: u64,
    /// The largest derivation, in bytes. Default: 16 MiB.
    pub max_derivation: usize,
    /// How many requests may wait for the core; more are told to come again. Default: 50,000.
    pub max_pending: usize,
    /// How long upstream substitute servers are asked on behalf of one message. Default: a minute. What they were not
    /// asked for by then counts as not there.
    pub upstream_patience: Duration,
    /// How long after its start it deletes, for the first time, blobs that no record names.
    /// Default: 15 minutes, when agents have reported what ended while no coordinator ran. Shorter:
    /// more of that has to be sent again.
    pub sweep_after: Duration,
    /// How long after a sweep it does so again; a minute at least. Default: 24 h. Shorter: less room
    /// is taken by what is of no use; each sweep reads the names of all blobs and all records.
    pub sweep_every: Duration,
    /// How many blobs a sweep looks for at once in the records, which it reads once for so many.
    /// Default: 100,000, a few megabytes of memory.
    pub sweep_chunk: usize,
}

/// How long a build may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The builder may run so long. Default: 24 h.
    pub timeout: Duration,
    /// The builder may be silent so long. Default: 2 h.
    pub max_silent: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_hours(24),
            max_silent: Duration::from_hours(2),
        }
    }
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            store_dirs: vec![StoreDir::guix(), StoreDir::nix()],
            admin_tokens: Vec::new(),
            policy: Policy::default(),
            lease: Duration::from_mins(1),
            default_limits: Limits::default(),
            remember_failures: Duration::from_hours(30 * 24),
            remember_cancels: Duration::from_mins(10),
            setup_backoff: Duration::from_secs(30),
            hold: Duration::from_hours(6),
            max_log: 1 << 30,
            max_output: 64 << 30,
            max_derivation: 16 << 20,
            max_pending: 50_000,
            upstream_patience: Duration::from_mins(1),
            sweep_after: Duration::from_mins(15),
            sweep_every: Duration::from_hours(24),
            sweep_chunk: 100_000,
        }
    }
}

/// SHA-256 of a token. Tokens are 256 random bits, so that no slow hash is needed.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Takes over a hash that was stored.
    #[must_use]
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Whether `token` is the one; takes the same time for any other.
    #[must_use]
    pub fn accepts(&self, token: &str) -> bool {
        Self::of(token).0.ct_eq(&self.0).into()
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(…)")
    }
}
