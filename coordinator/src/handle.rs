//! How the rest of the coordinator talks to the driver.

use std::time::Duration;

use grange_coordinator_core::{Core, Denied, DeniedWhy, Input, Reply, Ticket};
use grange_interfaces::{Fault, Refusal, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

/// Something for the driver to do.
pub(crate) enum Command {
    /// Hand this in, and send the answer.
    Input(
        Box<dyn FnOnce(Ticket) -> Input + Send>,
        oneshot::Sender<Reply>,
    ),
    /// Nobody waits for this answer any more.
    Forget(Ticket),
    /// Look at the core.
    Observe(Box<dyn FnOnce(&Core) + Send>),
}

/// Why a coordinator ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// It was told to.
    #[error("the coordinator was stopped")]
    Asked,
    /// Its Datastore is not its own any more, or cannot be trusted.
    #[error("the datastore cannot be used any more")]
    Datastore(#[source] StoreError),
}

/// The way to the driver.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    ended: watch::Receiver<Option<Stopped>>,
}

impl Handle {
    pub(crate) fn new(
        commands: mpsc::Sender<Command>,
        ended: watch::Receiver<Option<Stopped>>,
    ) -> Self {
        Self { commands, ended }
    }

    /// Hands something in, and waits for the answer. If the caller stops waiting, the core hears of
    /// it: an agent that hangs up must not be given a build.
    pub(crate) async fn request(
        &self,
        input: impl FnOnce(Ticket) -> Input + Send + 'static,
    ) -> Result<Reply, Refusal> {
        let (answer, answered) = oneshot::channel();
        let (told, ticket) = oneshot::channel();
        let input = move |ticket| {
            // Whoever asked may have gone already.
            let _ = told.send(ticket);
            input(ticket)
        };
        self.send(Command::Input(Box::new(input), answer))?;
        let mut waiting = Waiting {
            ticket,
            commands: Some(self.commands.clone()),
        };
        let reply = answered.await.map_err(|_| self.why_ended());
        waiting.commands = None;
        match reply? {
            Reply::Denied(denied) => Err(refusal(denied)),
            reply => Ok(reply),
        }
    }

    /// Looks at the core.
    pub(crate) async fn observe<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Core) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let look = move |core: &Core| {
            let _ = answer.send(look(core));
        };
        self.send(Command::Observe(Box::new(look)))?;
        answered.await.map_err(|_| self.why_ended())
    }

    /// Returns when everything that the core has decided so far is durable: what an observation did
    /// not find because it had just ended is in the history then.
    pub(crate) async fn settled(&self) -> Result<(), Refusal> {
        let nothing = |ticket| Input::Store {
            ticket,
            records: Vec::new(),
        };
        self.request(nothing).await.map(drop)
    }

    fn send(&self, command: Command) -> Result<(), Refusal> {
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refusal::busy(
                    "the coordinator has too much to do",
                    Duration::from_millis(500),
                ),
                mpsc::error::TrySendError::Closed(_) => self.why_ended(),
            })
    }

    fn why_ended(&self) -> Refusal {
        match &*self.ended.borrow() {
            Some(Stopped::Datastore(error)) => Refusal::new(
                Fault::Operator,
                format!("the coordinator has ended, because its datastore cannot be used: {error}"),
            ),
            _ => Refusal::busy("the coordinator is stopping", Duration::from_secs(1)),
        }
    }
}

/// Somebody who waits for an answer.
struct Waiting {
    ticket: oneshot::Receiver<Ticket>,
    commands: Option<mpsc::Sender<Command>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(commands) = self.commands.take() else {
            return;
        };
        if let Ok(ticket) = self.ticket.try_recv() {
            // A full queue: the exchange then ends by its own time.
            let _ = commands.try_send(Command::Forget(ticket));
        }
    }
}

/// A core's refusal in the words of the protocol.
pub(crate) fn refusal(denied: Denied) -> Refusal {
    let fault = match denied.why {
        DeniedWhy::NotFound => Fault::NotFound,
        DeniedWhy::Conflict => Fault::Conflict,
        DeniedWhy::Wrong => Fault::Caller,
        DeniedWhy::TooMuch => Fault::Operator,
    };
    Refusal::new(fault, denied.message)
}
