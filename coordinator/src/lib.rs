//! The coordinator: what drives [`grange_coordinator_core`] and does what it says.
//!
//! [`Coordinator::start`] claims the Datastore, loads what is unfinished, and then runs three kinds
//! of tasks: the *driver*, which alone owns the core and commits what it decides; the *endpoint*,
//! which answers agents and clients and verifies what they send before the core hears of it; the
//! *followers*, which read the journal and deliver it to hooks. [`client`] is the other side of the
//! protocol, for whoever submits builds.
//!
//! Nothing here knows where state or bytes lie, or over what the protocol travels: those are
//! [`Parts`].

mod available;
pub mod client;
mod clock;
mod config;
mod convert;
mod driver;
mod endpoint;
mod follow;
mod handle;
mod ingest;
mod retain;
mod shared;
mod start;
mod steady;
mod upstream;

pub use clock::SystemClock;
pub use config::{CoordinatorConfig, Limits as DefaultLimits, TokenHash};
pub use follow::{MissingInputs, Reopen};
pub use grange_coordinator_core::{
    ByCriticalPath, ByLocality, ByPriority, BySpeed, ByTags, Candidate, Order, Placement, Policy,
    Seat, Share,
};
pub use grange_recording::{RecordingFile, Sink};
pub use handle::Stopped;
pub use retain::Swept;
pub use start::{Coordinator, Parts, StartError};
pub use upstream::Upstreams;
