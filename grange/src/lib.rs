#![doc = include_str!("../README.md")]

pub use grange_agent as agent;
pub use grange_coordinator as coordinator;
pub use grange_coordinator::client;
pub use grange_derivation as derivation;
pub use grange_interfaces as interfaces;
pub use grange_model as model;
pub use grange_signatures as signatures;

/// [`interfaces::ArtifactStore`] in a directory. Feature `artifacts-dir`.
#[cfg(feature = "artifacts-dir")]
pub use grange_artifacts_dir as artifacts_dir;
/// [`interfaces::Builder`] and [`interfaces::LocalStore`] of a real guix-daemon or nix-daemon. Feature `daemon`.
#[cfg(feature = "daemon")]
pub use grange_daemon_protocol as daemon_protocol;
/// [`interfaces::Builder`] and [`interfaces::LocalStore`] in Linux namespaces. Feature `sandbox`.
#[cfg(feature = "sandbox")]
pub use grange_sandbox as sandbox;
/// [`interfaces::Datastore`] in one SQLite file. Feature `sqlite`.
#[cfg(feature = "sqlite")]
pub use grange_store_sqlite as store_sqlite;
/// [`interfaces::Site`] of what stock clients fetch. Feature `substitutes`.
#[cfg(feature = "substitutes")]
pub use grange_substitutes as substitutes;
/// The protocol over HTTP. Feature `http`.
#[cfg(feature = "http")]
pub use grange_transport_http as transport_http;
/// [`interfaces::Upstream`] of substitute servers over HTTP. Feature `upstream`.
#[cfg(feature = "upstream")]
pub use grange_upstream as upstream;

pub use grange_agent::{Agent, AgentConfig};
pub use grange_coordinator::client::Client;
pub use grange_coordinator::{Coordinator, CoordinatorConfig, MissingInputs, Parts, SystemClock};
