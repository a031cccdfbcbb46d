//! Agents, as their operator sees them.

use grange_interfaces::Secret;
use grange_interfaces::message::{AgentView, Answer, Message};
use grange_model::{AgentId, Tags};

use super::{Client, ClientError};

/// Every method fails if the coordinator is not reached or refuses.
impl Client {
    /// All agents, in the order of their ids.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn agents(&self) -> Result<Vec<AgentView>, ClientError> {
        match self.ask(Message::Agents).await? {
            Answer::Agents(agents) => Ok(agents),
            _ => Err(ClientError::Answer { question: "Agents" }),
        }
    }

    /// One agent.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn agent(&self, agent: AgentId) -> Result<AgentView, ClientError> {
        match self.ask(Message::Agent { agent }).await? {
            Answer::Agent(view) => Ok(*view),
            _ => Err(ClientError::Answer { question: "Agent" }),
        }
    }

    /// Makes an agent of this id. Asked twice, it is one agent.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn new_agent(
        &self,
        agent: AgentId,
        name: impl Into<String>,
    ) -> Result<(), ClientError> {
        self.order(
            "NewAgent",
            Message::NewAgent {
                agent,
                name: name.into(),
            },
        )
        .await
    }

    /// Makes a password for an agent. Nobody can ask for it again.
    ///
    /// If the answer is lost on the way, the question is asked again and the lost password stays valid, unknown to
    /// everybody, until it is revoked.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn new_password(&self, agent: AgentId) -> Result<Secret, ClientError> {
        match self.ask(Message::NewPassword { agent }).await? {
            Answer::Password(password) => Ok(Secret(password)),
            _ => Err(ClientError::Answer {
                question: "NewPassword",
            }),
        }
    }

    /// Revokes all passwords of an agent.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn revoke_passwords(&self, agent: AgentId) -> Result<(), ClientError> {
        self.order("RevokePasswords", Message::RevokePasswords { agent })
            .await
    }

    /// Gives an agent no new builds from now on, or gives it builds again.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn pause_agent(&self, agent: AgentId, paused: bool) -> Result<(), ClientError> {
        self.order("PauseAgent", Message::PauseAgent { agent, paused })
            .await
    }

    /// Replaces what the operator says that an agent offers.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn tag_agent(&self, agent: AgentId, tags: Tags) -> Result<(), ClientError> {
        self.order("TagAgent", Message::TagAgent { agent, tags })
            .await
    }

    /// Deletes an agent. What it holds goes to others.
    ///
    /// # Errors
    ///
    /// See above.
    pub async fn delete_agent(&self, agent: AgentId) -> Result<(), ClientError> {
        self.order("DeleteAgent", Message::DeleteAgent { agent })
            .await
    }
}
