//! `grange agents`, `grange agent`.

use grange_coordinator::client::Client;
use grange_interfaces::message::AgentView;
use grange_model::AgentId;
use serde_json::json;
use uuid::Uuid;

use super::show::{amounts, pairs};
use crate::cli::{AgentAction, AgentArgs, AgentNew, AgentsCommand, Global, PasswordCommand, tags};
use crate::connect::connect;
use crate::failure::{self, Exit};
use crate::output::{Output, show_time, table};

pub(super) async fn list(
    global: &Global,
    command: AgentsCommand,
    output: Output,
) -> anyhow::Result<Exit> {
    let AgentsCommand::List = command;
    let (client, _) = connect(global).await?;
    let agents = client.agents().await?;
    if output.is_json() {
        for agent in &agents {
            output.value(agent, |_| String::new())?;
        }
    } else if !agents.is_empty() {
        let rows: Vec<Vec<String>> = agents.iter().map(row).collect();
        output.line(&table(
            &["AGENT", "STATE", "BUILDS", "LOAD", "NAME", "SYSTEMS"],
            &rows,
        ))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn run(global: &Global, args: AgentArgs, output: Output) -> anyhow::Result<Exit> {
    if let AgentAction::New(new) = args.action {
        if args.agent.is_some() {
            return Err(failure::usage("write `grange agent new --id UUID`"));
        }
        let (client, _) = connect(global).await?;
        make(&client, new, output).await?;
        return Ok(Exit::Done);
    }
    let Some(agent) = args.agent else {
        return Err(failure::usage("which agent? Write `grange agent UUID …`"));
    };
    let (client, _) = connect(global).await?;
    change(&client, agent, args.action, output).await?;
    Ok(Exit::Done)
}

async fn make(client: &Client, new: AgentNew, output: Output) -> anyhow::Result<()> {
    let id = new.id.unwrap_or_else(|| AgentId(Uuid::now_v7()));
    // The last part of a time-ordered UUID is random, the first one is the same for all that are made in an hour.
    let name = new.name.unwrap_or_else(|| {
        id.to_string()
            .rsplit('-')
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    client.new_agent(id, name.clone()).await?;
    output.value(&json!({ "id": id, "name": name }), |_| id.to_string())
}

async fn change(
    client: &Client,
    agent: AgentId,
    action: AgentAction,
    output: Output,
) -> anyhow::Result<()> {
    match action {
        AgentAction::New(_) => return Ok(()),
        AgentAction::Show => {
            let view = client.agent(agent).await?;
            return output.value(&view, text);
        }
        AgentAction::Password(PasswordCommand::New) => {
            let password = client.new_password(agent).await?;
            return output.value(&json!({ "id": agent, "password": password.0 }), |_| {
                password.0.clone()
            });
        }
        AgentAction::Password(PasswordCommand::Revoke) => client.revoke_passwords(agent).await?,
        AgentAction::Pause => client.pause_agent(agent, true).await?,
        AgentAction::Resume => client.pause_agent(agent, false).await?,
        AgentAction::Tags { tags: pairs } => client.tag_agent(agent, tags(&pairs)).await?,
        AgentAction::Delete => {
            client.delete_agent(agent).await?;
            return output.value(&json!({ "id": agent, "deleted": true }), |_| String::new());
        }
    }
    // For programs: what it is now. People know what they asked for.
    if output.is_json() {
        output.value(&client.agent(agent).await?, |_| String::new())?;
    }
    Ok(())
}

fn state(agent: &AgentView) -> &'static str {
    match (agent.present, agent.paused) {
        (true, false) => "present",
        (true, true) => "paused",
        (false, false) => "absent",
        (false, true) => "absent, paused",
    }
}

fn row(agent: &AgentView) -> Vec<String> {
    vec![
        agent.id.to_string(),
        state(agent).to_owned(),
        format!("{}/{}", agent.attempts.len(), agent.parallel),
        format!("{}.{:02}", agent.load / 100, agent.load % 100),
        agent.name.clone(),
        agent.systems.join(" "),
    ]
}

fn text(agent: &AgentView) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<13}{value}"));
        }
    };
    line("agent", agent.id.to_string());
    line("name", agent.name.clone());
    line("state", state(agent).to_owned());
    line(
        "last heard of",
        agent
            .seen_at_ms
            .map(|time| format!(" {}", show_time(time)))
            .unwrap_or_default(),
    );
    line("systems", agent.systems.join(" "));
    line("offers", pairs(&agent.tags));
    line("and, as set", pairs(&agent.operator_tags));
    line("exclusive", agent.exclusive.join(" "));
    line(
        "builds",
        format!("{} of {}", agent.attempts.len(), agent.parallel),
    );
    for held in &agent.attempts {
        line(
            "",
            format!(
                "{} {}",
                held.attempt,
                format!("{:?}", held.phase).to_lowercase()
            ),
        );
    }
    line(
        "load",
        format!("{}.{:02}", agent.load / 100, agent.load % 100),
    );
    line("has", amounts(&agent.resources));
    line("uses", amounts(&agent.used));
    for sentence in &agent.pressure {
        line("takes nothing", format!(" new: {sentence}"));
    }
    line("passwords", agent.passwords.to_string());
    lines.join("\n")
}
