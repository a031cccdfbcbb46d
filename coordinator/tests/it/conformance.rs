//! The contract of hooks: whoever delivers keeps it, and so does our own hook.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use grange_coordinator::MissingInputs;
use grange_coordinator::client::MemorySource;
use grange_interfaces::{History, Hook};
use grange_model::BuildId;
use grange_testing::MemoryDatastore;
use grange_testing::conformance::{DeliveryBench, Farm as Delivering, HookBench};

use crate::farm::{Farm, Setup, derivation, request};

/// A coordinator on a store that it is started on again.
struct Coordinators(Mutex<Arc<MemoryDatastore>>);

impl Coordinators {
    fn new() -> Self {
        Self(Mutex::new(Arc::new(MemoryDatastore::new())))
    }
}

struct Running {
    farm: Farm,
    datastore: Arc<MemoryDatastore>,
}

impl DeliveryBench for Coordinators {
    async fn start(&self, hooks: Vec<Arc<dyn Hook>>) -> Box<dyn Delivering> {
        let datastore = {
            let mut datastore = self.0.lock().unwrap();
            // As if the process had been killed that had it before.
            *datastore = Arc::new(datastore.reopen());
            Arc::clone(&datastore)
        };
        let setup = Setup {
            datastore: Arc::clone(&datastore) as _,
            hooks,
            ..Setup::default()
        };
        let farm = setup.start().await;
        Box::new(Running { farm, datastore })
    }
}

#[async_trait]
impl Delivering for Running {
    async fn submit(&self, builds: &[BuildId]) {
        let mut source = MemorySource::new();
        let mut requests = Vec::new();
        for build in builds {
            let made = derivation(&format!("build-{build}"), &[]);
            source.add(&made);
            let mut request = request(&made);
            request.id = *build;
            requests.push(request);
        }
        self.farm.submit_as(requests, source).await;
    }

    async fn cancel(&self, builds: &[BuildId]) {
        self.farm.client.cancel(builds.to_vec()).await.unwrap();
    }

    fn history(&self) -> Arc<dyn History> {
        Arc::clone(&self.datastore) as _
    }

    async fn kill(self: Box<Self>) {
        // What is not committed now never is.
        drop(self.datastore.reopen());
        self.farm.kill().await;
    }
}

mod delivery {
    use super::Coordinators;
    grange_testing::delivery_conformance!(Coordinators::new());
}

/// Our own hook.
struct Missing;

impl HookBench for Missing {
    async fn open(&self) -> Arc<dyn Hook> {
        Arc::new(MissingInputs::default())
    }
}

mod missing_inputs {
    use super::Missing;
    grange_testing::hook_conformance!(Missing);
}
