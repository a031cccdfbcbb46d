//! The operator sees to agents.

use data_encoding::BASE64URL_NOPAD;
use grange_coordinator_core::{AgentChange, Input};
use grange_interfaces::message::Answer;
use grange_interfaces::{Fault, Refusal};
use grange_model::{AgentId, AgentRecord, PasswordHash, Tags};
use rand::RngCore;

use super::dispatch::{Answered, CoordinatorEndpoint};
use super::views;
use crate::config::TokenHash;

/// Longer names are no use to anybody.
const MAX_NAME: usize = 200;

impl CoordinatorEndpoint {
    pub(super) async fn agents(&self) -> Answered {
        let agents = self
            .handle
            .observe(|core| core.agents().collect::<Vec<_>>())
            .await?;
        Ok((
            Answer::Agents(agents.into_iter().map(views::agent).collect()),
            None,
        ))
    }

    pub(super) async fn agent(&self, agent: AgentId) -> Answered {
        let found = self.handle.observe(move |core| core.agent(agent)).await?;
        let found = found
            .ok_or_else(|| Refusal::new(Fault::NotFound, format!("there is no agent {agent}")))?;
        Ok((Answer::Agent(Box::new(views::agent(found))), None))
    }

    pub(super) async fn new_agent(&self, agent: AgentId, name: String) -> Answered {
        if name.len() > MAX_NAME || name.chars().any(char::is_control) {
            let message = "an agent's name has at most 200 bytes and no control characters";
            return Err(Refusal::new(Fault::Caller, message));
        }
        let record = AgentRecord {
            id: agent,
            name,
            tags: Tags::new(),
            passwords: Vec::new(),
            paused: false,
            created_at: self.shared.clock.now(),
        };
        self.change(agent, AgentChange::New(record)).await
    }

    /// 256 random bits, shown once.
    pub(super) async fn new_password(&self, agent: AgentId) -> Answered {
        let mut random = [0; 32];
        rand::rng().fill_bytes(&mut random);
        let password = BASE64URL_NOPAD.encode(&random);
        let hash = PasswordHash(TokenHash::of(&password).to_bytes());
        self.change(agent, AgentChange::AddPassword(hash)).await?;
        Ok((Answer::Password(password), None))
    }

    pub(super) async fn revoke_passwords(&self, agent: AgentId) -> Answered {
        self.change(agent, AgentChange::RevokePasswords).await
    }

    pub(super) async fn pause_agent(&self, agent: AgentId, paused: bool) -> Answered {
        self.change(agent, AgentChange::Pause(paused)).await
    }

    pub(super) async fn tag_agent(&self, agent: AgentId, tags: Tags) -> Answered {
        self.change(agent, AgentChange::Tags(tags)).await
    }

    pub(super) async fn delete_agent(&self, agent: AgentId) -> Answered {
        self.change(agent, AgentChange::Delete).await
    }

    async fn change(&self, agent: AgentId, change: AgentChange) -> Answered {
        self.handle
            .request(move |ticket| Input::Agent {
                ticket,
                agent,
                change,
            })
            .await?;
        Ok((Answer::Done, None))
    }
}
