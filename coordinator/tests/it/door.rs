//! The way to the coordinator.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Body, Endpoint, Peer, Refusal};

/// Whichever coordinator runs; what is under way when one ends is lost.
#[derive(Debug, Default)]
pub(crate) struct Door(RwLock<Option<Arc<dyn Endpoint>>>);

impl Door {
    pub(crate) fn set(&self, endpoint: Option<Arc<dyn Endpoint>>) {
        *self.0.write().unwrap() = endpoint;
    }
}

#[async_trait]
impl Endpoint for Door {
    async fn call(
        &self,
        peer: &Peer,
        message: Message,
        body: Option<Body>,
    ) -> Result<(Answer, Option<Body>), Refusal> {
        let endpoint = self.0.read().unwrap().clone();
        match endpoint {
            Some(endpoint) => endpoint.call(peer, message, body).await,
            None => Err(Refusal::busy("nobody is there", Duration::from_millis(1))),
        }
    }
}
