//! `grange history`.

use std::path::PathBuf;

use clap::Subcommand;

/// `grange history`.
#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// Write what is known of each package on each system, a line of JSON each
    #[command(
        long_about = "Write what is known of each package on each system, a line of JSON each\n\n\
        A line has the package (the name of its derivations without the version), the system, and for duration_ms \
        (milliseconds that the builder ran) and memory (bytes at most) the number of samples, p50, p90 and max.",
        after_help = "Example:\n  grange history export ./history.jsonl"
    )]
    Export {
        /// Where to [default: standard output]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Take over what another farm, or this one, has exported
    #[command(
        long_about = "Take over what another farm, or this one, has exported\n\n\
        What the file says takes the place of what is known of the same packages on the same systems; of others stays known \
        what is known. If a line is wrong, nothing is taken over.",
        after_help = "Example:\n  grange history import ./history.jsonl"
    )]
    Import {
        /// What to read; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
