//! The demo's agents keep their names from run to run, not their passwords.

use grange_coordinator::client::Client;
use grange_interfaces::Secret;
use grange_model::AgentId;
use uuid::Uuid;

/// An agent of this name with a new password, the only one that it has.
pub(super) async fn agent(client: &Client, name: &str) -> anyhow::Result<(AgentId, Secret)> {
    let known = client
        .agents()
        .await?
        .into_iter()
        .find(|agent| agent.name == name);
    let id = match known {
        Some(agent) => {
            client.revoke_passwords(agent.id).await?;
            agent.id
        }
        None => {
            let id = AgentId(Uuid::now_v7());
            client.new_agent(id, name).await?;
            id
        }
    };
    Ok((id, client.new_password(id).await?))
}
