//! What is kept, as the operator sees it.

use grange_interfaces::message::{Answer, HeldView, Message, PruneRequest, PruneView, SweepView};

use super::{Client, ClientError};

/// Every method fails if the coordinator is not reached or refuses, and takes time in proportion to
/// all that is kept. The coordinator goes on if the client hangs up, and is busy for others meanwhile.
impl Client {
    /// What is kept of outputs, sources and logs.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn held(&self) -> Result<HeldView, ClientError> {
        match self.ask(Message::Held).await? {
            Answer::Held(view) => Ok(view),
            _ => Err(ClientError::Answer { question: "Held" }),
        }
    }

    /// Says which outputs go, and deletes them if the request says so. Their blobs go with the next
    /// [`Client::sweep`].
    ///
    /// # Errors
    ///
    /// See above; the request may choose nothing, or name a root that is not there.
    pub async fn prune(&self, request: PruneRequest) -> Result<PruneView, ClientError> {
        match self.ask(Message::Prune(request)).await? {
            Answer::Pruned(view) => Ok(view),
            _ => Err(ClientError::Answer { question: "Prune" }),
        }
    }

    /// Says which blobs no record names, and deletes them if `delete`.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn sweep(&self, delete: bool) -> Result<SweepView, ClientError> {
        match self.ask(Message::Sweep { delete }).await? {
            Answer::Swept(view) => Ok(view),
            _ => Err(ClientError::Answer { question: "Sweep" }),
        }
    }
}
