//! `grange artifacts`.

use std::time::Duration;

use clap::{Args, Subcommand};
use grange_derivation::StorePath;

use super::build::parse_store_path;
use super::values::{KeyValue, parse_key_value};
use crate::durations::parse_duration;
use crate::sizes::parse_size;

/// `grange artifacts`.
#[derive(Debug, Subcommand)]
pub enum ArtifactsCommand {
    /// Show how many outputs, sources and logs the coordinator keeps, and their bytes
    #[command(after_help = "Example:\n  grange artifacts show")]
    Show,
    /// Delete outputs that nothing keeps, or say which these are
    Prune(ArtifactsPrune),
    /// Delete what no record names, or say how much that is; the coordinator does so itself every day
    #[command(after_help = "Example:\n  grange artifacts sweep --delete")]
    Sweep {
        /// Delete it
        #[arg(long)]
        delete: bool,
    },
}

/// `grange artifacts prune`.
#[derive(Debug, Args)]
#[command(
    long_about = "Delete outputs that nothing keeps, or say which these are\n\n\
    Without --delete nothing is deleted. An output is kept if an unfinished build makes or needs it, if a derivation has \
    it as a source, if an option says so, if something that is kept refers to it, or if another output of its derivation \
    is kept; at least one option has to be given. Sources and logs are kept always, and so is what is known of builds.\n\n\
    What was deleted is gone: it is not served any more, and whoever needs it has it built again. Clients of the \
    published caches may believe for up to an hour that it is there, and Nix clients for as long as their own settings \
    say (narinfo-cache-positive-ttl, 30 days by default); they then find no nar, and go to the next server or build.",
    after_help = "Example:\n  \
    grange artifacts prune --older-than 30d --keep-tag branch=master\n  \
    grange artifacts prune --max-size 500G --root /gnu/store/6fbh8phmp3izay6c0dpggpxhcjn4xlm5-hello-2.12.2 --delete"
)]
pub struct ArtifactsPrune {
    /// Keep what a build made, asked for or had as a direct input that ended less than so long ago, such as 12h, 30d
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    pub older_than: Option<Duration>,
    /// Keep all but that which only builds with this tag made, asked for or had as a direct input; may be given several
    /// times, for builds with all of them
    #[arg(long = "tag", value_name = "K=V", value_parser = parse_key_value)]
    pub tags: Vec<KeyValue>,
    /// Keep what a build with this tag made, asked for or had as a direct input; may be given several times, for builds
    /// with any of them
    #[arg(long = "keep-tag", value_name = "K=V", value_parser = parse_key_value)]
    pub keep_tags: Vec<KeyValue>,
    /// Keep this output with the others of its derivation, or the outputs of this derivation; may be given several times
    #[arg(long = "root", value_name = "STORE-PATH", value_parser = parse_store_path)]
    pub roots: Vec<StorePath>,
    /// Keep the newest, so that outputs and sources have at most so many bytes, such as 500G
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_size: Option<u64>,
    /// Delete them
    #[arg(long)]
    pub delete: bool,
}
