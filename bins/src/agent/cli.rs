//! The command line of `grange-agent`.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use grange_derivation::StoreDir;
use grange_model::AgentId;
use serde::Deserialize;

use crate::cli::{KeyValue, Resource, parse_hundredths, parse_key_value, parse_resource};
use crate::sizes::parse_size;
use crate::upstream::SubstituteFlags;

/// Takes builds from a coordinator, builds them, and sends back what came of it
///
/// Everything can be said in a configuration file (--config; `packaging/agent.toml` has all of it, commented); what is
/// said here counts more. An agent calls the coordinator and need not be reachable. `grange agent new` and `grange agent
/// UUID password new` make the UUID and the password.
///
/// Exit status: 0 when it was told to stop; 64 if the command line, 78 if the configuration is wrong or this machine
/// lacks what the builder needs; 1 for any other error.
#[derive(Debug, Parser)]
#[command(name = "grange-agent", version, max_term_width = 100)]
#[command(
    after_help = "Example:\n  grange-agent --coordinator https://farm.example.org:8745 \
    --uuid 01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10 --password-file /etc/grange/agent.password \
    --state-dir /var/lib/grange-agent --max-parallel-builds 4"
)]
pub struct Cli {
    /// How it is set up.
    #[command(flatten)]
    pub flags: Flags,
    /// Write logs as JSON, one object on a line
    #[arg(long)]
    pub json: bool,
}

/// How it is set up.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// A file with settings, in TOML [default: none]
    #[arg(long, value_name = "FILE", env = "GRANGE_AGENT_CONFIG")]
    pub config: Option<PathBuf>,
    /// The coordinator: http://HOST:PORT, https://HOST:PORT or unix:PATH; it must be given
    #[arg(long, value_name = "URL", env = "GRANGE_COORDINATOR")]
    pub coordinator: Option<String>,
    /// The agent's UUID; it must be given
    #[arg(long, value_name = "UUID")]
    pub uuid: Option<AgentId>,
    /// A file whose first line is the agent's password; it must be given
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Where logs and results lie until they are sent; it must be given
    #[arg(long, value_name = "D")]
    pub state_dir: Option<PathBuf>,
    /// What to build for; may be given several times [default: all that the builder can]
    #[arg(long = "system", value_name = "S")]
    pub systems: Vec<String>,
    /// What the agent offers to builds that require it; may be given several times
    #[arg(long = "tag", value_name = "K=V", value_parser = parse_key_value)]
    pub tags: Vec<KeyValue>,
    /// A key of the tags: only builds that require it come here; may be given several times
    #[arg(long, value_name = "K")]
    pub exclusive: Vec<String>,
    /// How many builds run at once [default: 1]
    #[arg(long, value_name = "N")]
    pub max_parallel_builds: Option<u32>,
    /// How many builds more are prepared meanwhile, so that their inputs are there [default: 1]
    #[arg(long, value_name = "N")]
    pub ahead: Option<u32>,
    /// How much it has of what builds use up, such as cores=16, memory=64G, disk=500G or licence=2; may be given several
    /// times. Builds get no more of it than there is [default: nothing is counted]
    #[arg(long = "resource", value_name = "NAME=AMOUNT", value_parser = parse_resource)]
    pub resources: Vec<Resource>,
    /// How fast it builds in comparison with others, such as 2.5: what it does counts so much in shares [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_hundredths)]
    pub speed: Option<u32>,
    /// Take nothing new above this 1-minute load average [default: no limit]
    #[arg(long, value_name = "LOAD", value_parser = parse_hundredths)]
    pub max_load: Option<u32>,
    /// Take nothing new while all processes wait for memory in more than this percentage of time (full avg10 of
    /// /proc/pressure/memory) [default: no limit]
    #[arg(long, value_name = "PERCENT", value_parser = parse_hundredths)]
    pub max_memory_pressure: Option<u32>,
    /// The same for disks (full avg10 of /proc/pressure/io) [default: no limit]
    #[arg(long, value_name = "PERCENT", value_parser = parse_hundredths)]
    pub max_io_pressure: Option<u32>,
    /// The same for processors, if anybody waits (some avg10 of /proc/pressure/cpu) [default: no limit]
    #[arg(long, value_name = "PERCENT", value_parser = parse_hundredths)]
    pub max_cpu_pressure: Option<u32>,
    /// Take nothing new with less free where the store lies, such as 10G [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub min_disk_free: Option<u64>,
    /// What NIX_BUILD_CORES says to builds; 0 is all [default: 0]
    #[arg(long, value_name = "N")]
    pub cores: Option<u32>,
    /// How much shall be free where the store lies, such as 20G: before the inputs of a build are fetched, items that
    /// nobody needs are deleted until it is so; with a daemon, those of others too [default: nothing is deleted]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub min_free: Option<u64>,
    /// Delete nothing for --min-free, and log what would be deleted
    #[arg(long)]
    pub min_free_dry_run: bool,
    /// When this run began, in milliseconds since 1970, for a machine whose clock is set to another date: of two runs of an
    /// agent, the coordinator knows the later one by that [default: what the clock says]
    #[arg(long, value_name = "MS")]
    pub began: Option<u64>,
    /// What builds [default: sandbox]
    #[arg(long, value_name = "BUILDER")]
    pub builder: Option<BuilderKind>,
    /// A file with the CA certificates to trust, in PEM, for an https coordinator [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Where inputs come from that the coordinator does not have.
    #[command(flatten)]
    pub substitutes: SubstituteFlags,
    /// Where the daemon listens, for --builder guix and nix [default: /var/guix/daemon-socket/socket,
    /// /nix/var/nix/daemon-socket/socket]
    #[arg(long, value_name = "PATH")]
    pub daemon_socket: Option<PathBuf>,
    /// The key that signs what a guix-daemon is given to import; the daemon must have it authorised. `grange key
    /// generate` makes one [default: STATE-DIR/keys/farm.sec, made if it is not there]
    #[arg(long, value_name = "FILE")]
    pub farm_key: Option<PathBuf>,
    /// Where the sandbox has its own store [default: STATE-DIR/store]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// What builds see that store as: /gnu/store or /nix/store [default: /gnu/store, with --builder nix /nix/store]
    #[arg(long, value_name = "DIR")]
    pub store_dir: Option<String>,
    /// A file or directory of this machine that builds see too, read-only, at the same place; may be given several
    /// times. Such builds need not come out the same elsewhere [default: none]
    #[arg(long = "sandbox-path", value_name = "PATH")]
    pub sandbox_paths: Vec<PathBuf>,
}

/// What builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuilderKind {
    /// The embedded one, in Linux namespaces
    Sandbox,
    /// A guix-daemon, in its store
    Guix,
    /// A nix-daemon, in its store
    Nix,
}

impl BuilderKind {
    /// The store that it builds for, unless somebody says otherwise.
    #[must_use]
    pub fn store_dir(self) -> StoreDir {
        match self {
            Self::Sandbox | Self::Guix => StoreDir::guix(),
            Self::Nix => StoreDir::nix(),
        }
    }

    /// Where the daemon listens, if it is one.
    #[must_use]
    pub fn socket(self) -> Option<&'static str> {
        match self {
            Self::Sandbox => None,
            Self::Guix => Some("/var/guix/daemon-socket/socket"),
            Self::Nix => Some("/nix/var/nix/daemon-socket/socket"),
        }
    }
}
