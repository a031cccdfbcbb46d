//! What `grange` is told on its command line.

mod agents;
mod artifacts;
mod build;
mod history;
mod keys;
mod local;
mod simulate;
mod substitutes;
mod values;
mod vm;

pub use agents::{AgentAction, AgentArgs, AgentNew, AgentsCommand, PasswordCommand};
pub use artifacts::{ArtifactsCommand, ArtifactsPrune};
pub use build::{
    BuildAction, BuildArgs, BuildOptions, BuildsCommand, BuildsEta, BuildsList, EnvironmentArg,
    FetchArgs, Target,
};
pub use history::HistoryCommand;
pub use keys::KeyCommand;
pub use local::{
    CompletionsArgs, DemoArgs, DerivationCommand, DerivationShow, ManArgs, NarCommand, Program,
};
pub use simulate::SimulateArgs;
pub use substitutes::{CheckArgs, SubstitutesCommand};
pub use values::{
    KeyValue, Resource, parse_hundredths, parse_key_value, parse_resource, resources, tags,
};

pub use vm::{
    AcceleratorArg, ChannelArg, ImageBuild, ImageCommand, ImageImport, TrapsArgs, TrapsCommand,
    VmAgent, VmArgs, VmCommand, VmCreate, VmRun, VmSsh, VmStart, VmStarting,
};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Build farms for Guix and Nix
///
/// Talks to a coordinator, which gives builds to agents. `grange demo` shows a whole farm in one process.
///
/// Exit status: 0 if all went well; 1 for any other error; 2, 3, 4 if a build failed, has a failed dependency, was
/// canceled (`grange build --wait`, the first that applies); 64 if the command line is wrong; 69 if the coordinator was
/// not reached.
#[derive(Debug, Parser)]
#[command(name = "grange", version, max_term_width = 100)]
#[command(
    after_help = "Example:\n  grange build --wait /gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv"
)]
pub struct Cli {
    /// What all commands share.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What all commands share.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of all commands")]
pub struct Global {
    /// The coordinator: http://HOST:PORT, https://HOST:PORT or unix:PATH [default: the admin socket of one's own
    /// coordinator, unix:$XDG_RUNTIME_DIR/grange/admin.sock, if it is there, else the system's,
    /// unix:/run/grange/admin.sock]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "GRANGE_COORDINATOR",
        hide_env_values = true
    )]
    pub coordinator: Option<String>,
    /// A file with an admin token; over HTTP most commands need one [default: none]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GRANGE_TOKEN_FILE",
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,
    /// A file with the CA certificates to trust, in PEM, for an https coordinator [default: the system's]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GRANGE_CA",
        hide_env_values = true
    )]
    pub ca: Option<PathBuf>,
    /// Print JSON, one value on a line, instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build derivations, or look at, read and cancel a build
    Build(BuildArgs),
    /// Look at many builds
    #[command(
        subcommand,
        after_help = "Example:\n  grange builds list --state failed --limit 10"
    )]
    Builds(BuildsCommand),
    /// Look at all agents
    #[command(subcommand, after_help = "Example:\n  grange agents list")]
    Agents(AgentsCommand),
    /// Make an agent, or look at and change one
    Agent(AgentArgs),
    /// Fetch a store item from the farm, verified
    Fetch(FetchArgs),
    /// Look at what the coordinator keeps, and delete what is not needed
    #[command(
        subcommand,
        after_help = "Example:\n  grange artifacts prune --older-than 30d"
    )]
    Artifacts(ArtifactsCommand),
    /// Write out what builds of packages have taken so far, or take it over from another farm
    #[command(
        subcommand,
        after_help = "Example:\n  grange history export ./history.jsonl"
    )]
    History(HistoryCommand),
    /// Read derivations (no coordinator is needed)
    #[command(
        subcommand,
        after_help = "Example:\n  grange derivation show hello.drv"
    )]
    Derivation(DerivationCommand),
    /// Make and read archives of store items (no coordinator is needed)
    #[command(subcommand, after_help = "Example:\n  grange nar hash ./hello-2.12.2")]
    Nar(NarCommand),
    /// Make keys that sign what clients fetch, and look at them (no coordinator is needed)
    #[command(subcommand, after_help = "Example:\n  grange key show ./guix.sec")]
    Key(KeyCommand),
    /// Look at substitute servers (no coordinator is needed)
    #[command(
        subcommand,
        after_help = "Example:\n  grange substitutes check ./hello.drv --url http://farm:8746/guix --key ./guix.pub"
    )]
    Substitutes(SubstitutesCommand),
    /// Virtual build machines: a chosen date, processor and kernel (no coordinator is needed but for `agent`)
    #[command(after_help = "Example:\n  grange vm create past --date 2020-01-01")]
    Vm(VmArgs),
    /// Look at what no longer builds as it did, and where it still does (no coordinator is needed)
    #[command(after_help = "Example:\n  grange traps check ./openssl.drv")]
    Traps(TrapsArgs),
    /// Run a farm in virtual time, and compare policies (no coordinator is needed)
    Simulate(SimulateArgs),
    /// Run a whole farm in this process and build a graph of real derivations with it
    Demo(DemoArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages of all programs into a directory
    Man(ManArgs),
}
