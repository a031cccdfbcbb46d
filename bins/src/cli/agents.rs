//! `grange agents`, `grange agent`.

use clap::{Args, Subcommand};
use grange_model::AgentId;

use super::values::{KeyValue, parse_key_value};

/// `grange agents`.
#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// List all agents
    #[command(after_help = "Example:\n  grange agents list")]
    List,
}

/// `grange agent`.
#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true)]
#[command(override_usage = "grange agent new [OPTIONS]\n       \
    grange agent UUID show|pause|resume|tags|password|delete [OPTIONS]")]
#[command(after_help = "Example:\n  grange agent new --name rosa\n  \
    grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 password new > rosa.password")]
pub struct AgentArgs {
    /// Which agent
    #[arg(value_name = "UUID")]
    pub agent: Option<AgentId>,
    /// What to do.
    #[command(subcommand)]
    pub action: AgentAction,
}

/// What to do with an agent.
#[derive(Debug, Subcommand)]
pub enum AgentAction {
    /// Make an agent, and print its UUID
    New(AgentNew),
    /// Show an agent
    #[command(after_help = "Example:\n  grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 show")]
    Show,
    /// Give the agent no new builds; those that it has go on
    #[command(after_help = "Example:\n  grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 pause")]
    Pause,
    /// Give the agent builds again
    #[command(after_help = "Example:\n  grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 resume")]
    Resume,
    /// Replace what the operator says that the agent offers, besides what it says itself; none are none
    #[command(
        after_help = "Example:\n  grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 tags kvm=yes room=cellar"
    )]
    Tags {
        /// All of them
        #[arg(value_name = "K=V", value_parser = parse_key_value)]
        tags: Vec<KeyValue>,
    },
    /// Make a password for the agent, or revoke all that it has
    #[command(
        subcommand,
        after_help = "Example:\n  grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 password new > rosa.password"
    )]
    Password(PasswordCommand),
    /// Delete the agent; what it builds goes to others
    #[command(after_help = "Example:\n  grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 delete")]
    Delete,
}

/// `grange agent new`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange agent new --name rosa")]
pub struct AgentNew {
    /// What people call it [default: the last part of its UUID]
    #[arg(long, value_name = "N")]
    pub name: Option<String>,
    /// Its UUID: the same UUID again is the same agent [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub id: Option<AgentId>,
}

/// `grange agent UUID password`.
#[derive(Debug, Subcommand)]
pub enum PasswordCommand {
    /// Make a password and print it; it is shown this once, the coordinator keeps only its hash
    #[command(
        after_help = "Example:\n  grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 password new > rosa.password"
    )]
    New,
    /// Revoke all passwords of the agent
    #[command(
        after_help = "Example:\n  grange agent 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 password revoke"
    )]
    Revoke,
}
