//! Kills, power cuts and bad disks for Grange's programs, as processes: `cargo xtask crash`.
//!
//! | module | what |
//! |---|---|
//! | [`kills`], [`births`], [`rotations`], [`exports`] | `kill -9` at each fail point |
//! | [`takeovers`] | agents whose leases run out: who takes over dies, too, and two race for a build |
//! | [`cuts`], [`power`] | power cuts; disks that are full, fail or are slow |
//! | [`farm`], [`process`] | programs that are killed and started again |
//! | [`round`], [`work`] | what users do meanwhile, each thing again until it is acknowledged |
//! | [`audit`] | what must be so afterwards |
//!
//! `docs/design/0010-fail-points.md` says why it is done so.

#![expect(clippy::print_stdout, reason = "a program that says what it found")]

mod audit;
mod births;
mod cuts;
mod exports;
mod farm;
mod http;
mod kills;
mod power;
mod process;
mod random;
mod rotations;
mod round;
mod takeovers;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use grange_sandbox::{Helper, check_support};

use crate::random::Random;

/// Kills, power cuts and bad disks for Grange's programs.
#[derive(Debug, Parser)]
struct Cli {
    /// Where the programs of a test build lie
    #[arg(long, value_name = "DIR")]
    programs: PathBuf,
    /// What chance begins with; a new one is taken if it is not given
    #[arg(long)]
    seed: Option<u64>,
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// Kill coordinator, agents and operators at each fail point
    Kills {
        /// How often at least
        #[arg(long, default_value_t = 300)]
        cycles: usize,
    },
    /// Kill agents that take over from others, and that race with them
    Takeovers {
        /// How often at least
        #[arg(long, default_value_t = 30)]
        cycles: usize,
    },
    /// Cut the power while the coordinator's disk has not written everything
    Power {
        /// How often
        #[arg(long, default_value_t = 100)]
        cycles: usize,
    },
    /// Fill the coordinator's disk, have it fail, and make it slow
    Disks {
        /// How often each
        #[arg(long, default_value_t = 10)]
        cycles: usize,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let seed = cli
        .seed
        .unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    println!("seed: {seed}");
    match run(&cli, &mut Random::new(seed)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grange-crash: {error:#}\nagain with: --seed {seed}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli, random: &mut Random) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let helper = Helper::Program(cli.programs.join("grange-agent"));
    if let Err(error) = runtime.block_on(check_support(&helper)) {
        println!("skipped: {error}");
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let at = directory.path();
    match cli.what {
        What::Kills { cycles } => {
            println!("{}", kills::run(&cli.programs, at, cycles, random)?);
            Ok(())
        }
        What::Takeovers { cycles } => {
            println!("{}", takeovers::run(&cli.programs, at, cycles, random)?);
            Ok(())
        }
        What::Power { cycles } => cuts::run(&cli.programs, cycles, random),
        What::Disks { cycles } => cuts::bad_disks(&cli.programs, cycles, random),
    }
}
