//! The traits that an embedder of Grange replaces, and their contracts.
//!
//! | trait | what it is | ours |
//! |---|---|---|
//! | [`Datastore`], [`History`] | where the coordinator's state lives | `grange-store-sqlite` |
//! | [`ArtifactStore`] | where nars, sources and logs lie | `grange-artifacts-dir` |
//! | [`Endpoint`] | what coordinator, agents and clients say to each other | `grange-coordinator`, `grange-transport-http` |
//! | [`Builder`], [`LocalStore`] | what builds, and the store that it builds into | `grange-sandbox` |
//! | [`Site`] | what strangers fetch | `grange-substitutes` |
//! | [`Upstream`] | substitute servers of others | `grange-upstream` |
//! | [`Hook`] | what hears of everything that happens | `grange-coordinator`'s `MissingInputs` |
//! | [`Clock`] | where `now` comes from | `grange-coordinator`'s `SystemClock` |
//!
//! Every trait is object-safe and states its contract. `grange-testing` has strict fakes.

mod artifacts;
mod body;
mod builder;
mod clock;
mod datastore;
mod endpoint;
mod error;
mod frames;
mod hook;
mod local_store;
mod log;
pub mod message;
mod site;
mod stop;
mod upstream;

pub use artifacts::{ArtifactError, ArtifactStore, Source, UploadId};
pub use body::{Body, bytes_of, empty_body};
pub use builder::{BuildError, Builder, Built, Job, MadeOutput, Offers};
pub use clock::Clock;
pub use datastore::{Claim, Claimed, Datastore, FinishedFilter, History, Page, StoreError};
pub use endpoint::{Endpoint, Peer, Secret};
pub use error::{Fault, Refusal};
pub use frames::{FrameError, Frames, frame};
pub use hook::{Delivery, Hook, HookError, Request};
pub use local_store::{Freed, ItemInfo, LocalStore, LocalStoreError};
pub use log::{Log, LogReceiver};
pub use site::{FilePart, Site, SiteBody};
pub use stop::{Stop, Stopper};
pub use upstream::{Upstream, UpstreamError};
