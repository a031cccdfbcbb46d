//! The command line of `grange-coordinator`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use grange_substitutes::NarCompression;
use grange_transport_http::ListenAddress;

use crate::sizes::parse_size;
use crate::upstream::SubstituteFlags;

/// Gives builds to agents, and keeps what comes of them
///
/// Everything can be said in a configuration file (--config; `packaging/coordinator.toml` has all of it, commented);
/// what is said here counts more. As long as it runs, nobody else may use its database and its artifacts.
///
/// Exit status: 0 when it was told to stop; 64 if the command line, 78 if the configuration is wrong; 1 for any other
/// error.
#[derive(Debug, Parser)]
#[command(name = "grange-coordinator", version, max_term_width = 100)]
#[command(
    after_help = "Example:\n  grange-coordinator --config /etc/grange/coordinator.toml\n  \
    grange-coordinator --state-dir ./farm --listen 127.0.0.1:8745 --admin unix:./farm/admin.sock"
)]
pub struct Cli {
    /// How it is set up.
    #[command(flatten)]
    pub flags: Flags,
    /// Print JSON: logs on standard error, one object on a line, and what commands print
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<CoordinatorCommand>,
}

/// How it is set up.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct Flags {
    /// A file with settings, in TOML [default: none]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "GRANGE_COORDINATOR_CONFIG"
    )]
    pub config: Option<PathBuf>,
    /// Where database and artifacts lie unless said otherwise [default: /var/lib/grange for root, else
    /// $XDG_STATE_HOME/grange, ~/.local/state/grange]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The database: sqlite:PATH [default: sqlite:STATE-DIR/grange.db]
    #[arg(long, global = true, value_name = "URI")]
    pub database: Option<String>,
    /// Where nars, sources and logs lie [default: STATE-DIR/artifacts]
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Where agents, and clients with a token, reach it: ADDR:PORT; may be given several times
    /// [default: 127.0.0.1:8745]
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<ListenAddress>,
    /// Where operators reach it: unix:PATH, which only its own user and root can open, or ADDR:PORT, where every command
    /// needs a token [default: unix:/run/grange/admin.sock for root, else unix:$XDG_RUNTIME_DIR/grange/admin.sock]
    #[arg(long, value_name = "unix:PATH|ADDR")]
    pub admin: Option<ListenAddress>,
    /// A store directory that derivations may be for; may be given several times [default: /gnu/store and /nix/store]
    #[arg(long = "store-dir", value_name = "DIR")]
    pub store_dirs: Vec<String>,
    /// The certificate, in PEM, then those that lead from it to its CA [default: none, no TLS]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A file with admin tokens, one on a line, or their hashes as `grange-coordinator token` prints them
    /// [default: none, so that only the Unix socket may administer]
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Where stock clients fetch what the farm has built, at /guix and /nix: ADDR:PORT; may be given several times
    /// [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    pub publish: Vec<ListenAddress>,
    /// The key that signs what Guix clients fetch, as `guix archive --generate-key` or `grange key generate` make it
    /// [default: STATE-DIR/keys/guix.sec, made if it is not there]
    #[arg(long, value_name = "FILE")]
    pub guix_key: Option<PathBuf>,
    /// A key that signs what Nix clients fetch, as `nix-store --generate-binary-cache-key` or `grange key generate` make
    /// it; beside it the next one, if `grange key rotate` has made one [default: STATE-DIR/keys/nix.sec, made if it is not there]
    #[arg(long = "nix-key", value_name = "FILE")]
    pub nix_keys: Vec<PathBuf>,
    /// Whose outputs count as built.
    #[command(flatten)]
    pub substitutes: SubstituteFlags,
    /// A compression in which Guix clients are offered nars: zstd, gzip, lzip or none; may be given several times. All but
    /// zstd are made when they are first asked for [default: zstd and gzip]
    #[arg(long = "compression", value_name = "NAME")]
    pub compressions: Vec<NarCompression>,
    /// Write down what happens, to be replayed with `grange simulate --record FILE`: builds and their derivations, attempts,
    /// agents. Lines are appended, also over restarts; some hundred bytes and 35 for each input for each build. A file that holds
    /// something else is refused [default: nowhere]
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// How large that file may get, such as 10G. Then nothing is recorded until there is another file, or more room, and the
    /// coordinator is started anew [default: as large as the disk allows]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub record_max: Option<u64>,
    /// Take the database from another coordinator that seems to use it (it hangs, or its machine is gone): from then on
    /// that one can write nothing. Its artifacts must not be in use any more
    #[arg(long)]
    pub take_over: bool,
}

/// What to do instead of running.
#[derive(Clone, Debug, Subcommand)]
pub enum CoordinatorCommand {
    /// Check all of the database and its schema; no coordinator may run on it meanwhile
    #[command(
        after_help = "Example:\n  grange-coordinator check --database sqlite:/var/lib/grange/grange.db"
    )]
    Check,
    /// Make an admin token, and print it and the line for the token file
    #[command(after_help = "Example:\n  grange-coordinator token")]
    Token,
}
