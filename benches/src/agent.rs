//! An agent that builds nothing: what it says of itself, and how.

use grange::interfaces::Peer;
use grange::interfaces::message::{Admission, Capacity, ExchangeRequest, Health, Message};
use grange::model::{SessionId, Tags};
use uuid::Uuid;

use crate::farm::Farm;
use crate::trivial;
use crate::wire::authorization;

/// An agent that the coordinator knows, and that holds nothing.
#[derive(Debug)]
pub struct Agent {
    /// As whom it calls, for a [`Wire`](crate::wire::Wire).
    pub authorization: String,
    system: String,
    session: SessionId,
    revision: u64,
}

impl Agent {
    /// Makes one known that builds for this machine's system.
    ///
    /// # Errors
    ///
    /// The coordinator is not reached.
    pub async fn new(farm: &Farm) -> anyhow::Result<Self> {
        Self::of(farm, trivial::system()).await
    }

    /// Makes one known that builds for a system.
    ///
    /// # Errors
    ///
    /// The coordinator is not reached.
    pub async fn of(farm: &Farm, system: impl Into<String>) -> anyhow::Result<Self> {
        let (id, password) = farm.new_agent().await?;
        Ok(Self {
            authorization: authorization(&Peer::Agent { id, password }),
            system: system.into(),
            session: SessionId(Uuid::now_v7()),
            revision: 0,
        })
    }

    /// It wants so many, and waits for so long.
    pub fn exchange(&mut self, parallel: u32, wait_ms: u64) -> Message {
        self.revision += 1;
        Message::Exchange(ExchangeRequest {
            session: self.session,
            revision: self.revision,
            capacity: Capacity {
                systems: vec![self.system.clone()],
                tags: Tags::new(),
                exclusive: Vec::new(),
                parallel,
                ahead: 0,
                resources: grange_model::Resources::new(),
                admission: Admission::default(),
                speed: 0,
            },
            load: 0,
            health: Health::default(),
            attempts: Vec::new(),
            wait_ms,
        })
    }
}
