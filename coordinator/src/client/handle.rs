//! The handle.

use std::sync::Arc;
use std::time::Duration;

use grange_interfaces::message::{Answer, Counts, Message, VERSIONS};
use grange_interfaces::{Body, Endpoint, Peer};

use super::error::ClientError;
use super::patience::Patience;

/// How long a client goes on asking if it is not told otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Talks to a coordinator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) endpoint: Arc<dyn Endpoint>,
    pub(super) peer: Peer,
    patience: Duration,
}

/// What a coordinator says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version of the protocol that both speak.
    pub version: u16,
    /// Program and version.
    pub software: String,
    /// The store directories that it serves.
    pub store_dirs: Vec<String>,
}

impl Client {
    /// A client that asks over `endpoint` as `peer`, and goes on for a minute while the coordinator is busy or not
    /// reached.
    #[must_use]
    pub fn new(endpoint: Arc<dyn Endpoint>, peer: Peer) -> Self {
        Self {
            endpoint,
            peer,
            patience: PATIENCE,
        }
    }

    /// How long, in pauses between tries since the last answer, to go on asking while the coordinator is busy or not
    /// reached. Zero asks once.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Over what it asks.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<dyn Endpoint> {
        &self.endpoint
    }

    /// As whom it asks.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Asks which version both speak. `software` is for the coordinator's logs.
    ///
    /// # Errors
    ///
    /// The coordinator is not reached, or speaks none of our versions.
    pub async fn hello(&self, software: &str) -> Result<Welcome, ClientError> {
        match self
            .ask(Message::Hello {
                versions: VERSIONS,
                software: software.to_owned(),
            })
            .await?
        {
            Answer::Hello {
                version,
                software,
                store_dirs,
            } => Ok(Welcome {
                version,
                software,
                store_dirs,
            }),
            _ => Err(ClientError::Answer { question: "Hello" }),
        }
    }

    /// How many builds there are in each state, and how many agents.
    ///
    /// # Errors
    ///
    /// The coordinator is not reached or refuses.
    pub async fn counts(&self) -> Result<Counts, ClientError> {
        match self.ask(Message::Counts).await? {
            Answer::Counts(counts) => Ok(counts),
            _ => Err(ClientError::Answer { question: "Counts" }),
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience::new(self.patience)
    }

    /// Asks a question without a body, and drops the body of the answer.
    pub(super) async fn ask(&self, message: Message) -> Result<Answer, ClientError> {
        Ok(self.ask_for_body(message).await?.0)
    }

    /// Asks a question without a body.
    pub(super) async fn ask_for_body(
        &self,
        message: Message,
    ) -> Result<(Answer, Option<Body>), ClientError> {
        let mut patience = self.patience();
        loop {
            match self.endpoint.call(&self.peer, message.clone(), None).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => patience.pause(refusal).await?,
            }
        }
    }

    /// Asks a question whose answer says no more than that it is done.
    pub(super) async fn order(
        &self,
        question: &'static str,
        message: Message,
    ) -> Result<(), ClientError> {
        match self.ask(message).await? {
            Answer::Done => Ok(()),
            _ => Err(ClientError::Answer { question }),
        }
    }
}
