//! Commands that need no coordinator.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;

/// `grange derivation`.
#[derive(Debug, Subcommand)]
pub enum DerivationCommand {
    /// Print derivations as JSON, in the shape of Nix 2.8's `nix show-derivation`: one object for all files
    Show(DerivationShow),
}

/// `grange derivation show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange derivation show /gnu/store/*-hello-2.12.2.drv")]
pub struct DerivationShow {
    /// Derivations, called HASH-NAME.drv
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `grange nar`.
#[derive(Debug, Subcommand)]
pub enum NarCommand {
    /// Print the SHA-256 of the archive that a file, directory or symbolic link would have
    #[command(after_help = "Example:\n  grange nar hash ./hello-2.12.2")]
    Hash {
        /// The file, directory or symbolic link
        path: PathBuf,
    },
    /// Write the archive of a file, directory or symbolic link
    #[command(after_help = "Example:\n  grange nar pack ./hello-2.12.2 > hello.nar")]
    Pack {
        /// The file, directory or symbolic link
        path: PathBuf,
        /// Where to write it [default: standard output]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Unpack an archive; whatever Guix or Nix would not have written is refused
    #[command(after_help = "Example:\n  grange nar unpack hello.nar --to ./hello-2.12.2")]
    Unpack {
        /// The archive; `-` is standard input
        path: PathBuf,
        /// Where to unpack it; nothing may be there yet [default: the archive's name without `.nar`, here]
        #[arg(long, value_name = "PATH")]
        to: Option<PathBuf>,
    },
    /// List what is in an archive
    #[command(after_help = "Example:\n  grange nar list hello.nar")]
    List {
        /// The archive; `-` is standard input
        path: PathBuf,
    },
}

/// `grange demo`.
#[derive(Debug, Args)]
#[command(
    long_about = "Run a whole farm in this process and build a graph of real derivations with it\n\n\
    Starts a coordinator (SQLite, artifacts in a directory), HTTP on loopback and two agents with the embedded \
    sandboxed builder, each with a store of its own (or one agent on a real daemon: --builder guix, --builder nix); submits C programs and libraries with one build that fails on \
    purpose; shows progress and what came of it. The state is kept: a second run builds nothing, --again builds anew.\n\n\
    Exit status: 0 if every build ended as planned; 2 if one did not; 78 if this machine lacks what the builder needs."
)]
#[command(after_help = "Example:\n  grange demo --json | tail -n 1")]
pub struct DemoArgs {
    /// Build anew what was built, and what failed (with --builder sandbox)
    #[arg(long)]
    pub again: bool,
    /// Go on when all has ended, until Ctrl-C, so that other commands can ask this farm
    #[arg(long)]
    pub serve: bool,
    /// Where everything is kept [default: $XDG_STATE_HOME/grange/demo, ~/.local/state/grange/demo]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// What builds
    #[arg(long, value_name = "BUILDER", default_value = "sandbox")]
    pub builder: crate::agent::BuilderKind,
    /// Where the daemon listens [default: /var/guix/daemon-socket/socket, /nix/var/nix/daemon-socket/socket]
    #[arg(long, value_name = "PATH")]
    pub daemon_socket: Option<PathBuf>,
}

/// `grange completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  grange completions bash > ~/.local/share/bash-completion/completions/grange"
)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: Shell,
    /// For which program
    #[arg(long, value_name = "NAME", default_value = "grange")]
    pub program: Program,
}

/// One of our programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// The client.
    Grange,
    /// The coordinator.
    GrangeCoordinator,
    /// The agent.
    GrangeAgent,
}

/// `grange man`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  grange man ./man")]
pub struct ManArgs {
    /// Where the pages shall lie; it is made if it is not there
    pub dir: PathBuf,
}
