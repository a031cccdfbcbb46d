//! `grange build`, `grange builds`, `grange fetch`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use grange_derivation::StorePath;
use grange_model::{BuildId, BuildState};

use super::values::{KeyValue, Resource, parse_key_value, parse_resource};
use crate::durations::parse_duration;

/// `grange build`.
#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true)]
#[command(
    override_usage = "grange build [OPTIONS] DRV...\n       grange build UUID show|why|log|cancel [OPTIONS]"
)]
#[command(
    long_about = "Build derivations, or look at, read and cancel a build\n\n\
    With derivations: sends what the coordinator lacks of their closures, asks for builds and prints their UUIDs, one \
    a line. With --wait it shows progress and ends when all have ended, with status 0 if all were built, else 2 if one \
    failed, 3 if a dependency of one failed, 4 if one was canceled.\n\n\
    With the UUID of a build and `show`, `why`, `log` or `cancel`: does that. A file that is called like one of these is \
    written ./show."
)]
#[command(after_help = "Example:\n  \
    grange build --wait --priority 10 --tag user=alice /gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv\n  \
    grange build 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 log --follow")]
pub struct BuildArgs {
    /// Derivations (HASH-NAME.drv in /gnu/store, /nix/store or any other directory) to build; or one build's UUID
    #[arg(required = true, value_name = "DRV|UUID")]
    pub targets: Vec<Target>,
    /// How to build derivations.
    #[command(flatten)]
    pub options: BuildOptions,
    /// What to do with a build.
    #[command(subcommand)]
    pub action: Option<BuildAction>,
}

/// How to build derivations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct BuildOptions {
    /// The build's UUID: the same UUID and derivation submitted twice is one build [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub id: Option<BuildId>,
    /// The higher, the sooner; it also moves what the build needs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub priority: i32,
    /// A label; may be given several times
    #[arg(long = "tag", value_name = "K=V", value_parser = parse_key_value)]
    pub tags: Vec<KeyValue>,
    /// What the agent must offer; may be given several times
    #[arg(long, value_name = "K=V", value_parser = parse_key_value)]
    pub requires: Vec<KeyValue>,
    /// `auto`: derivations that are in a trap (`grange traps list`) require the environment in which they still build; it counts for
    /// those that are given, not for what they need [default: none]
    #[arg(long, value_name = "E")]
    pub environment: Option<EnvironmentArg>,
    /// What it uses up while it runs, such as cores=4, memory=16G or licence=1; may be given several times [default: as
    /// builds of that name did before]
    #[arg(long = "resource", value_name = "NAME=AMOUNT", value_parser = parse_resource)]
    pub resources: Vec<Resource>,
    /// How long the builder may run, such as 90s, 10m, 2h [default: the coordinator's]
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// How long the builder may be silent [default: the coordinator's]
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub max_silent: Option<Duration>,
    /// Build even what is available or failed before, in an attempt of its own
    #[arg(long)]
    pub again: bool,
    /// Make no builds for inputs that nobody has tried
    #[arg(long)]
    pub no_inputs: bool,
    /// Show progress, and wait until all have ended
    #[arg(long)]
    pub wait: bool,
    /// Where the items lie that belong in the store, if not beside the derivations
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// Where to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EnvironmentArg {
    /// Where it still builds
    Auto,
    /// Anywhere
    None,
}

/// A derivation's file, or a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A build's UUID.
    Build(BuildId),
    /// Anything else.
    File(PathBuf),
}

impl FromStr for Target {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Only the form in which we print them: 32 hexadecimal digits without dashes may be a file's name.
        let build = (text.len() == 36).then(|| text.parse().ok()).flatten();
        Ok(build.map_or_else(|| Self::File(PathBuf::from(text)), Self::Build))
    }
}

/// What to do with a build.
#[derive(Clone, Debug, Subcommand)]
pub enum BuildAction {
    /// Show where the build stands, and why
    #[command(after_help = "Example:\n  grange build 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 show")]
    Show,
    /// Say what stands between the build and its end, back to the root causes, and what would get it going
    #[command(after_help = "Example:\n  grange build 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 why")]
    Why,
    /// Print the log of the build's newest attempt, byte by byte as the builder wrote it
    #[command(
        after_help = "Example:\n  grange build 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 log --follow"
    )]
    Log {
        /// Go on until the build has ended, also over restarts of the coordinator and to further attempts
        #[arg(long)]
        follow: bool,
        /// Begin behind this many bytes
        #[arg(long, value_name = "N", default_value_t = 0)]
        offset: u64,
    },
    /// Cancel the build
    #[command(after_help = "Example:\n  grange build 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 cancel")]
    Cancel,
}

/// `grange builds`.
#[derive(Debug, Subcommand)]
pub enum BuildsCommand {
    /// List builds in the order of their UUIDs, which is that of their submission unless UUIDs were given
    List(BuildsList),
    /// Say when unfinished builds will have ended, as far as can be told
    Eta(BuildsEta),
}

/// `grange builds list`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange builds list --state failed --tag user=alice --limit 10")]
pub struct BuildsList {
    /// Only those in this state: blocked, ready, running, succeeded, failed, failed-dependency, canceled
    #[arg(long, value_name = "S", value_parser = parse_state)]
    pub state: Option<BuildState>,
    /// Only those with this tag; may be given several times
    #[arg(long = "tag", value_name = "K=V", value_parser = parse_key_value)]
    pub tags: Vec<KeyValue>,
    /// Only those for this system, such as x86_64-linux
    #[arg(long, value_name = "SYSTEM")]
    pub system: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Only those behind this one: the last of the page before
    #[arg(long, value_name = "UUID")]
    pub after: Option<BuildId>,
}

/// `grange builds eta`.
#[derive(Debug, Args)]
#[command(
    after_help = "The median, and what nine of ten such builds do not exceed, from what builds of the same packages took \
        before, and from what else there is to do. Builds that come later and go before are not foreseen.\n\n\
        Example:\n  grange builds eta 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10"
)]
pub struct BuildsEta {
    /// Which builds [default: all unfinished ones, those that run first]
    #[arg(value_name = "UUID")]
    pub builds: Vec<BuildId>,
    /// Without UUIDs: at most so many
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        conflicts_with = "builds"
    )]
    pub limit: usize,
}

fn parse_state(text: &str) -> Result<BuildState, String> {
    let words: Vec<&str> = BuildState::ALL.iter().map(|state| state.as_str()).collect();
    let found = BuildState::ALL
        .into_iter()
        .find(|state| state.as_str() == text);
    found.ok_or_else(|| format!("a build is {}", words.join(", ")))
}

/// `grange fetch`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    grange fetch /gnu/store/6fbh8phmp3izay6c0dpggpxhcjn4xlm5-hello-2.12.2 --to ./hello\n  ./hello/bin/hello")]
pub struct FetchArgs {
    /// The item: an output that was built, or a source
    #[arg(value_name = "STORE-PATH", value_parser = parse_store_path)]
    pub path: StorePath,
    /// Where it shall lie; nothing may be there yet. With --closure: the directory that the items shall lie in
    /// [default: the item's name, here; with --closure: here]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Fetch all that the item refers to as well, each under its own name
    #[arg(long)]
    pub closure: bool,
}

pub(super) fn parse_store_path(text: &str) -> Result<StorePath, String> {
    StorePath::parse_any(text).map_err(|error| error.to_string())
}
