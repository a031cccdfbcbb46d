//! Grange's agent: takes builds from a coordinator, makes sure that their inputs are there, builds,
//! and sends back what came of it.
//!
//! What it does when is decided by [`grange_agent_core`]; this crate does it, on tokio. The
//! coordinator, the builder and the store are handed in as traits of [`grange_interfaces`].
//!
//! ```no_run
//! # async fn run(
//! #     endpoint: std::sync::Arc<dyn grange_interfaces::Endpoint>,
//! #     builder: std::sync::Arc<dyn grange_interfaces::Builder>,
//! #     store: std::sync::Arc<dyn grange_interfaces::LocalStore>,
//! #     clock: std::sync::Arc<dyn grange_interfaces::Clock>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use grange_agent::{Agent, AgentConfig, Parts};
//! use grange_interfaces::{Secret, Stop};
//!
//! let id = "0195f3c0-0000-7000-8000-000000000001".parse()?;
//! let config = AgentConfig::new(id, Secret("…".into()), "/var/lib/grange-agent");
//! let agent = Agent::new(config, Parts { endpoint, builder, store, upstream: None, clock, seed: 1 })?;
//! let (mut stopper, stop) = Stop::new();
//! // Elsewhere, when it is time: stopper.stop();
//! agent.run(stop).await?;
//! # stopper.stop();
//! # Ok(())
//! # }
//! ```
//!
//! # What lies in the state directory
//!
//! | file | what it is |
//! |---|---|
//! | `lock` | locked while an agent runs |
//! | `session` | the last session's id: sessions are ordered, also when the clock is set back |
//! | `attempts/ATTEMPT/log` | all that a build has said |
//! | `attempts/ATTEMPT/N.nar.zst` | its outputs, compressed |
//! | `attempts/ATTEMPT/result.json` | how it ended: there once all of it is there |
//!
//! A finished result that was not sent survives a restart of the agent. Whether it survives a power
//! cut is a matter of cost: see [`AgentConfig::durable_after`]. What survives is verified before it
//! is sent, and what does not is built again, since the coordinator then hears of no such attempt.

mod agent;
mod calls;
mod claims;
mod config;
mod context;
mod driver;
mod error;
mod exchange;
mod fetch;
mod health;
mod log;
mod pause;
mod session;
mod shared;
mod spool;
mod state_dir;
mod status;
mod steps;

pub use agent::{Agent, Parts};
pub use config::AgentConfig;
pub use error::AgentError;
pub use status::{AgentStatus, AttemptStatus, Totals};
