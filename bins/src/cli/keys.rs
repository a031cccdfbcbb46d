//! `grange key`.

use std::path::PathBuf;

use clap::Subcommand;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a secret key, and its public key in a file beside it with the ending .pub
    #[command(
        after_help = "Example:\n  grange key generate ./nix.sec --nix cache.example.org-1\n  grange key generate ./guix.sec"
    )]
    Generate {
        /// The file of the secret key; it must not be there
        file: PathBuf,
        /// For Nix clients, under this name, which stands in every signature [default: for Guix clients]
        #[arg(long, value_name = "NAME")]
        nix: Option<String>,
    },
    /// Take a secret key that `guix archive --generate-key` or `nix-store --generate-binary-cache-key` made
    #[command(after_help = "Example:\n  grange key import /etc/guix/signing-key.sec ./guix.sec")]
    Import {
        /// The secret key
        from: PathBuf,
        /// Where to put it; it must not be there
        to: PathBuf,
    },
    /// Replace a secret key, in two steps
    ///
    /// The first makes the next key, in FILE with `.next` before its ending. From the coordinator's next start on Nix
    /// clients get signatures of both keys. Narinfos of Guix have room for one signature, so Guix clients must authorise
    /// the next public key before the second step. That one, with --finish, puts the next key in the place of the former,
    /// which is kept with `.old` before its ending; it counts from the coordinator's next start on.
    #[command(
        after_help = "Example:\n  grange key rotate /var/lib/grange/keys/nix.sec\n  grange key rotate /var/lib/grange/keys/nix.sec --finish"
    )]
    Rotate {
        /// The secret key
        file: PathBuf,
        /// Take the second step
        #[arg(long)]
        finish: bool,
    },
    /// Print the public key of a secret key: what clients are to trust
    #[command(after_help = "Example:\n  grange key show ./guix.sec | guix archive --authorize")]
    Show {
        /// The secret key
        file: PathBuf,
    },
}
