//! What suites run on.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use grange_coordinator_core::Policy;
use grange_derivation::Builder as Author;
use grange_interfaces::{
    ArtifactStore, Builder, Datastore, Endpoint, History, Hook, LocalStore, Stopper,
};
use grange_model::{Batch, BuildId};

use crate::Step;

/// What a Datastore's suite runs on: where one is stored. Each case makes its own, empty.
pub trait DatastoreBench: Send + Sync {
    /// What is tested.
    type Store: Datastore + 'static;

    /// Opens it, as a process does that starts. Cases drop what was opened before they open it
    /// again, unless they want to know what two coordinators do to each other.
    fn open(&self) -> impl Future<Output = Arc<Self::Store>> + Send;
}

/// What a History's suite runs on: who fills one. Each case makes its own.
pub trait HistoryBench: Send + Sync {
    /// What is tested.
    type History: History + 'static;

    /// What shows these commits, from the first one on, and nothing else: it may be made anew, or what
    /// is missing may be added to the one of before. Each list of a case begins with the last one.
    fn history(&self, commits: &[Arc<Batch>]) -> impl Future<Output = Arc<Self::History>> + Send;
}

/// What an ArtifactStore's suite runs on: where one is stored. Each case makes its own, empty.
pub trait ArtifactsBench: Send + Sync {
    /// What is tested.
    type Store: ArtifactStore + 'static;

    /// Opens it, as a process does that starts. Cases drop what was opened before.
    fn open(&self) -> impl Future<Output = Arc<Self::Store>> + Send;
}

/// What a transport's suite runs on.
pub trait TransportBench: Send + Sync {
    /// Has `endpoint` served, and connects to it.
    fn connect(&self, endpoint: Arc<dyn Endpoint>) -> impl Future<Output = Link> + Send;

    /// Whether the other side is in the same process or behind a trusted door, so that
    /// [`Peer::Local`] arrives as such. Anywhere else it arrives as [`Peer::Anonymous`].
    ///
    /// [`Peer::Local`]: grange_interfaces::Peer::Local
    /// [`Peer::Anonymous`]: grange_interfaces::Peer::Anonymous
    fn is_local(&self) -> bool;
}

/// Two ends that are connected.
pub struct Link {
    /// The near end.
    pub client: Arc<dyn Endpoint>,
    /// Serving, which can be stopped. None where calls go straight to the other side, so that nobody
    /// serves.
    pub serving: Option<Serving>,
}

/// A server that runs.
pub struct Serving {
    /// Ends it.
    pub stopper: Stopper,
    /// Returns when it has ended.
    pub ended: BoxFuture<'static, ()>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").finish_non_exhaustive()
    }
}

/// What an Endpoint's suite runs on.
pub trait EndpointBench: Send + Sync {
    /// Starts a farm to which nothing has happened, which serves `/gnu/store` and whose operator is
    /// [`Peer::Local`](grange_interfaces::Peer::Local).
    fn start(&self) -> impl Future<Output = Served> + Send;
}

/// A farm that runs.
pub struct Served {
    /// What is tested.
    pub endpoint: Arc<dyn Endpoint>,
    /// What has to stay until the case has ended.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// What a LocalStore's suite runs on: where one is.
pub trait LocalStoreBench: Send + Sync {
    /// What is tested.
    type Store: LocalStore + 'static;

    /// Opens it, as a process does that starts; cases drop what was opened before. None, after it has
    /// said why, where this machine cannot have one: then the case ends.
    fn open(&self) -> impl Future<Output = Option<Arc<Self::Store>>> + Send;

    /// Whether each bench has a store of its own. Where others use it as well, no case collects its
    /// garbage.
    fn is_ours(&self) -> bool;
}

/// What a Builder's suite runs on.
pub trait BuilderBench: Send + Sync {
    /// Sets one up, with its store. None, after it has said why, where this machine cannot have one:
    /// then the case ends.
    fn open(&self) -> impl Future<Output = Option<Workshop>> + Send;
}

/// Begins a derivation of this name that takes these steps: with the sources that it needs for that,
/// and without outputs and inputs, which cases add.
pub type WriteDerivation = Box<dyn Fn(&str, &[Step]) -> Author + Send + Sync>;

/// A builder, and what a case needs beside it.
pub struct Workshop {
    /// What is tested.
    pub builder: Arc<dyn Builder>,
    /// What it builds into.
    pub store: Arc<dyn LocalStore>,
    /// Writes derivations for it.
    pub derivation: WriteDerivation,
    /// Whether a process with this word in its command line runs: [`runs_here`], if builds run on this
    /// machine.
    ///
    /// [`runs_here`]: crate::conformance::runs_here
    pub is_running: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// What has to stay until the case has ended.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Workshop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workshop")
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}

/// What the suite for an embedder's own hook runs on.
pub trait HookBench: Send + Sync {
    /// Makes the hook, as a process does that starts.
    fn open(&self) -> impl Future<Output = Arc<dyn Hook>> + Send;
}

/// What the suite for whatever gives hooks their facts runs on.
pub trait DeliveryBench: Send + Sync {
    /// Starts it with these hooks, on the journal that it had when it was killed last. It returns when
    /// what happens from then on reaches them all.
    fn start(&self, hooks: Vec<Arc<dyn Hook>>) -> impl Future<Output = Box<dyn Farm>> + Send;
}

/// A farm that runs, and gives hooks their facts.
#[async_trait]
pub trait Farm: Send + Sync {
    /// Accepts builds with these ids, each of a derivation of its own that no agent can build. When it
    /// returns, the journal says [`Fact::Submitted`] of each, in this order.
    ///
    /// [`Fact::Submitted`]: grange_model::Fact::Submitted
    async fn submit(&self, builds: &[BuildId]);

    /// Cancels unfinished builds. When it returns, the journal says [`Fact::Ended`] of each.
    ///
    /// [`Fact::Ended`]: grange_model::Fact::Ended
    async fn cancel(&self, builds: &[BuildId]);

    /// What was written.
    fn history(&self) -> Arc<dyn History>;

    /// Ends it without any ado, as `kill -9` does.
    async fn kill(self: Box<Self>);
}

/// What a Policy's suite runs on.
pub trait PolicyBench: Send + Sync {
    /// Makes it. Two that are made say the same.
    fn policy(&self) -> Policy;

    /// How many builds that came later, and have no higher priority, may go before one: the bound of
    /// its waiting. 0 if only the older ones do.
    fn overtakes(&self) -> u64;
}
