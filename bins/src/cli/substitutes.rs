//! `grange substitutes`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do about substitute servers.
#[derive(Debug, Subcommand)]
pub enum SubstitutesCommand {
    /// Ask servers for the outputs of derivations, and count what they have, as `guix weather` does
    ///
    /// Only what a trusted key has signed counts. Nothing is fetched. Ends with 0 if each output is on one of the servers,
    /// with 1 if not, with 69 if a server that might have the rest was not reached.
    #[command(
        after_help = "Example:\n  grange substitutes check ./hello.drv --inputs --url http://farm:8746/guix --key ./guix.pub"
    )]
    Check(CheckArgs),
}

/// What to ask whom.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files of derivations
    #[arg(required = true, value_name = "DRV")]
    pub derivations: Vec<PathBuf>,
    /// Ask for the outputs of all that they need as well
    #[arg(long)]
    pub inputs: bool,
    /// A substitute server: http://HOST:PORT/PATH or https://…; may be given several times
    #[arg(
        long = "url",
        value_name = "URL",
        required = true,
        value_delimiter = ' '
    )]
    pub urls: Vec<String>,
    /// Whose signatures count: a file as Guix and Nix have them (/etc/guix/acl, a .pub), or a public key of Nix itself,
    /// NAME:BASE64; may be given several times
    #[arg(
        long = "key",
        value_name = "FILE|KEY",
        required = true,
        value_delimiter = ' '
    )]
    pub keys: Vec<String>,
    /// A file with the CA certificates to trust, in PEM, for those servers that are https [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub substitute_ca: Option<PathBuf>,
}
