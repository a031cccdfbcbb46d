//! Who may say what, and who answers it.

use std::sync::Arc;

use async_trait::async_trait;
use grange_derivation::StoreDir;
use grange_fail_points::{Point, reach};
use grange_interfaces::message::{Answer, Message, VERSIONS};
use grange_interfaces::{Body, Endpoint, Fault, Peer, Refusal, empty_body};
use grange_model::AgentId;

use crate::handle::Handle;
use crate::ingest;
use crate::shared::Shared;

/// The coordinator's side of the protocol.
#[derive(Clone, Debug)]
pub(crate) struct CoordinatorEndpoint {
    pub(super) shared: Arc<Shared>,
    pub(super) handle: Handle,
}

/// Who calls, verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Anybody,
    Agent(AgentId),
    Operator,
}

pub(super) type Answered = Result<(Answer, Option<Body>), Refusal>;

impl CoordinatorEndpoint {
    pub(crate) fn new(shared: Arc<Shared>, handle: Handle) -> Self {
        Self { shared, handle }
    }

    /// What it shares with followers.
    pub(crate) fn parts(&self) -> (Arc<Shared>, Handle) {
        (Arc::clone(&self.shared), self.handle.clone())
    }

    fn verify(&self, peer: &Peer) -> Result<Caller, Refusal> {
        let refused = |what: &str| Err(Refusal::new(Fault::Forbidden, what));
        match peer {
            Peer::Anonymous => Ok(Caller::Anybody),
            Peer::Local => Ok(Caller::Operator),
            Peer::Agent { id, password } => {
                if self.shared.accepts_password(*id, &password.0) {
                    Ok(Caller::Agent(*id))
                } else {
                    refused("the agent is not known, or its password is wrong or was revoked")
                }
            }
            Peer::Token(token) => {
                let tokens = &self.shared.config.admin_tokens;
                let known = tokens
                    .iter()
                    .fold(false, |found, hash| hash.accepts(&token.0) | found);
                if known {
                    Ok(Caller::Operator)
                } else {
                    refused("the token is not known")
                }
            }
        }
    }

    fn hello(&self, versions: (u16, u16)) -> Answered {
        let (oldest, newest) = (versions.0.max(VERSIONS.0), versions.1.min(VERSIONS.1));
        if oldest > newest {
            let message = format!(
                "this coordinator speaks versions {} to {} of the protocol, and the caller {} to {}",
                VERSIONS.0, VERSIONS.1, versions.0, versions.1
            );
            return Err(Refusal::new(Fault::Operator, message));
        }
        let store_dirs = self.shared.config.store_dirs.iter();
        let answer = Answer::Hello {
            version: newest,
            software: concat!("grange ", env!("CARGO_PKG_VERSION")).to_owned(),
            store_dirs: store_dirs
                .map(StoreDir::as_str)
                .map(str::to_owned)
                .collect(),
        };
        Ok((answer, None))
    }

    async fn for_agent(&self, agent: AgentId, message: Message, body: Option<Body>) -> Answered {
        let body = body.unwrap_or_else(empty_body);
        let shared = &*self.shared;
        match message {
            Message::Exchange(request) => self.exchange(agent, request).await,
            Message::Job { attempt } => self.job(agent, attempt).await,
            Message::Report { reports } => self.report(agent, reports).await,
            Message::LogOffset { attempt } => {
                self.own(agent, attempt).await?;
                Ok((
                    Answer::Offset(ingest::log_offset(shared, attempt).await?),
                    None,
                ))
            }
            Message::AppendLog { attempt, offset } => {
                self.own(agent, attempt).await?;
                let offset = ingest::append_log(shared, attempt, offset, body).await?;
                Ok((Answer::Offset(offset), None))
            }
            Message::UploadOffset {
                attempt, file_hash, ..
            } => {
                self.own(agent, attempt).await?;
                Ok((
                    Answer::Offset(ingest::upload_offset(shared, attempt, &file_hash).await?),
                    None,
                ))
            }
            Message::AppendUpload {
                attempt,
                file_hash,
                offset,
                ..
            } => {
                self.own(agent, attempt).await?;
                let offset =
                    ingest::append_upload(shared, attempt, &file_hash, offset, body).await?;
                Ok((Answer::Offset(offset), None))
            }
            _ => Err(Refusal::new(
                Fault::Forbidden,
                "this is not for agents to ask",
            )),
        }
    }

    async fn for_operator(&self, message: Message, body: Option<Body>) -> Answered {
        let body = body.unwrap_or_else(empty_body);
        match message {
            Message::Lacking { derivations, items } => self.lacking(derivations, items).await,
            Message::Obtain { derivations, items } => self.obtain(derivations, items).await,
            Message::PutDerivations => {
                ingest::put_derivations(&self.shared, &self.handle, body).await?;
                Ok((Answer::Done, None))
            }
            Message::PutItems { items } => {
                ingest::put_items(&self.shared, &self.handle, items, body).await?;
                Ok((Answer::Done, None))
            }
            Message::Submit { builds } => self.submit(builds).await,
            Message::Cancel { builds } => self.cancel(builds).await,
            Message::Build { build } => self.build(build).await,
            Message::Builds {
                filter,
                after,
                limit,
            } => self.builds(filter, after, limit).await,
            Message::Counts => self.counts().await,
            Message::Facts {
                after,
                wait_ms,
                limit,
            } => self.facts(after, wait_ms, limit).await,
            Message::Log {
                build,
                attempt,
                offset,
                wait_ms,
            } => self.log(build, attempt, offset, wait_ms).await,
            Message::Agents => self.agents().await,
            Message::Agent { agent } => self.agent(agent).await,
            Message::NewAgent { agent, name } => self.new_agent(agent, name).await,
            Message::NewPassword { agent } => self.new_password(agent).await,
            Message::RevokePasswords { agent } => self.revoke_passwords(agent).await,
            Message::PauseAgent { agent, paused } => self.pause_agent(agent, paused).await,
            Message::TagAgent { agent, tags } => self.tag_agent(agent, tags).await,
            Message::DeleteAgent { agent } => self.delete_agent(agent).await,
            Message::Held => self.held().await,
            Message::Prune(request) => self.prune(request).await,
            Message::Sweep { delete } => self.sweep_view(delete).await,
            Message::Etas { builds } => self.etas(builds).await,
            Message::History { after, limit } => self.history(after, limit).await,
            Message::ImportHistory { packages } => self.import_history(packages).await,
            _ => Err(Refusal::new(Fault::Forbidden, "this is for agents to say")),
        }
    }
}

#[async_trait]
impl Endpoint for CoordinatorEndpoint {
    async fn call(&self, peer: &Peer, message: Message, body: Option<Body>) -> Answered {
        if let Message::Hello { versions, .. } = message {
            return self.hello(versions);
        }
        let caller = self.verify(peer)?;
        if caller == Caller::Anybody {
            return Err(Refusal::new(
                Fault::Forbidden,
                "who asks this has to say who it is",
            ));
        }
        reach(Point::CallTaken);
        let answered = match message {
            Message::Items { paths, closure } => self.items(paths, closure).await,
            Message::FetchItem { path, offset } => self.fetch_item(path, offset).await,
            Message::Derivations { paths } => self.derivations(paths).await,
            message => match caller {
                Caller::Agent(agent) => self.for_agent(agent, message, body).await,
                _ => self.for_operator(message, body).await,
            },
        };
        reach(Point::CallAnswered);
        answered
    }
}
