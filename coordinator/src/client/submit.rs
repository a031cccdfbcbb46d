//! Asking for builds, and sending along what they need.

use std::collections::BTreeSet;
use std::sync::Arc;

use grange_derivation::StorePath;
use grange_interfaces::message::{Answer, BuildRequest, Message, Submission};
use grange_interfaces::{Fault, Refusal};

use super::upload::Counter;
use super::{Client, ClientError, ClosureSource};

/// The most builds in one message.
const BUILDS: usize = 1_000;

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Texts of derivations.
    pub derivations: u64,
    /// Sources.
    pub sources: u64,
    /// Bytes of texts and nars, also of those that had to be sent again.
    pub bytes: u64,
}

/// How far a submission is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What has arrived.
    pub sent: Sent,
    /// How many derivations the coordinator lacked.
    pub derivations: u64,
    /// How many sources the coordinator lacked.
    pub sources: u64,
}

/// What became of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// One for each request, in order.
    pub submissions: Vec<Submission>,
    /// What was sent along.
    pub sent: Sent,
}

impl Client {
    /// Asks for builds. What the coordinator lacks of their closures is read from `source` and sent before; what it
    /// has is neither sent nor read. `progress` hears after each message that carried something.
    ///
    /// Repeating a submission after an error is safe: what arrived is not sent again, and a build of the same id is
    /// the same build. Memory is bounded by the number of lacking derivations, not by the size of sources.
    ///
    /// # Errors
    ///
    /// The closure cannot be read, or the coordinator is not reached or refuses what it carries. A request that is
    /// refused on its own is no error: see [`Submitted::submissions`].
    pub async fn submit(
        &self,
        requests: Vec<BuildRequest>,
        source: Arc<dyn ClosureSource>,
        progress: &(dyn Fn(&Progress) + Send + Sync),
    ) -> Result<Submitted, ClientError> {
        let mut roots = BTreeSet::new();
        for request in &requests {
            roots.insert(root(&request.derivation)?);
        }
        let lacking = self.lacking(roots, source.as_ref()).await?;
        let counter = Counter::new(&lacking);
        progress(&counter.progress());
        // Sources first: a derivation that the coordinator has, it must have with its whole closure.
        self.put_sources(&lacking.sources, &source, &counter, progress)
            .await?;
        self.put_derivations(&lacking.derivations, source.as_ref(), &counter, progress)
            .await?;
        let mut submissions = Vec::with_capacity(requests.len());
        for builds in requests.chunks(BUILDS) {
            match self
                .ask(Message::Submit {
                    builds: builds.to_vec(),
                })
                .await?
            {
                Answer::Submitted(answers) if answers.len() == builds.len() => {
                    submissions.extend(answers)
                }
                _ => return Err(ClientError::Answer { question: "Submit" }),
            }
        }
        Ok(Submitted {
            submissions,
            sent: counter.progress().sent,
        })
    }
}

fn root(path: &str) -> Result<StorePath, Refusal> {
    match StorePath::parse_any(path) {
        Ok(path) if path.is_derivation() => Ok(path),
        Ok(_) => Err(Refusal::new(
            Fault::Caller,
            format!("`{path}` is not the path of a derivation"),
        )),
        Err(error) => Err(Refusal::new(Fault::Caller, error.to_string())),
    }
}
