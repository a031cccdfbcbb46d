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
//! | [`summary`] | what was found, and what was skipped |
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
mod summary;
mod takeovers;
mod work;

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::{Parser, Subcommand};
use grange_sandbox::{Helper, check_support};
use tempfile::TempDir;

use crate::cuts::Whose;
use crate::random::Random;
use crate::summary::{Outcome, Skipped, Summary};

/// Kills, power cuts and bad disks for Grange's programs.
///
/// What fails is told with the command that does it again, and all that there is of it is kept: logs, databases and what
/// happened on the disk.
#[derive(Debug, Parser)]
struct Cli {
    /// Where the programs of a test build lie
    #[arg(long, value_name = "DIR")]
    programs: PathBuf,
    /// What chance begins with, in each part; a new one is taken if it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Fail if something is skipped, unless it is the kernel that lacks it
    #[arg(long)]
    demand: bool,
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
    /// Cut the power while a disk has not written everything
    Power {
        /// Whose disk
        #[arg(long)]
        whose: Whose,
        /// How often
        #[arg(long, default_value_t = 100)]
        cycles: usize,
    },
    /// Fill a disk, have it fail, and make it slow; start on it while it is so
    Disks {
        /// Whose disk
        #[arg(long)]
        whose: Whose,
        /// How often each
        #[arg(long, default_value_t = 10)]
        cycles: usize,
    },
    /// Everything, and a summary
    All {
        /// How many kills at least
        #[arg(long, default_value_t = 300)]
        kills: usize,
        /// How many kills at least where leases run out
        #[arg(long, default_value_t = 30)]
        takeovers: usize,
        /// How many power cuts, of each
        #[arg(long, default_value_t = 100)]
        cuts: usize,
        /// How often each disk is bad in each way
        #[arg(long, default_value_t = 10)]
        disks: usize,
    },
}

impl What {
    /// The parts of a run.
    fn parts(self) -> Vec<Self> {
        let Self::All {
            kills,
            takeovers,
            cuts,
            disks,
        } = self
        else {
            return vec![self];
        };
        let both = [Whose::Coordinator, Whose::Agents];
        let mut parts = vec![
            Self::Kills { cycles: kills },
            Self::Takeovers { cycles: takeovers },
        ];
        parts.extend(both.map(|whose| Self::Power {
            whose,
            cycles: cuts,
        }));
        parts.extend(both.map(|whose| Self::Disks {
            whose,
            cycles: disks,
        }));
        parts
    }

    /// What it is called, and how it is done again.
    fn name(self) -> (&'static str, String) {
        let whose = |whose| match whose {
            Whose::Coordinator => "--whose coordinator",
            Whose::Agents => "--whose agents",
        };
        match self {
            Self::Kills { cycles } => ("kills", format!("kills --cycles {cycles}")),
            Self::Takeovers { cycles } => ("takeovers", format!("takeovers --cycles {cycles}")),
            Self::Power {
                whose: disk,
                cycles,
            } => ("power", format!("power {} --cycles {cycles}", whose(disk))),
            Self::Disks {
                whose: disk,
                cycles,
            } => ("disks", format!("disks {} --cycles {cycles}", whose(disk))),
            Self::All { .. } => ("all", "all".to_owned()),
        }
    }
}

fn main() -> ExitCode {
    if let Err(error) = process::launch() {
        eprintln!("grange-crash: {error:#}");
        return ExitCode::FAILURE;
    }
    let cli = Cli::parse();
    let seed = cli
        .seed
        .unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    println!("seed: {seed}");
    let mut summary = Summary::default();
    let done = run(&cli, seed, &mut summary);
    print!("{summary}");
    if let Err(error) = done {
        eprintln!("grange-crash: {error:#}");
        return ExitCode::FAILURE;
    }
    if cli.demand && summary.lacks() {
        eprintln!("grange-crash: something was skipped that could be installed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Does all parts, two at a time: most of what they do is to wait.
fn run(cli: &Cli, seed: u64, summary: &mut Summary) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let helper = Helper::Program(cli.programs.join("grange-agent"));
    let support = runtime.block_on(check_support(&helper));
    let parts = cli.what.parts();
    if let Err(error) = &support {
        for part in parts {
            summary.add(part.name().0, Outcome::Skipped(Skipped::no_sandbox(error)));
        }
        return Ok(());
    }
    let left = Mutex::new(parts.into_iter().enumerate());
    let next = || left.lock().ok()?.next();
    let worker = || {
        let mut done = Vec::new();
        while let Some((number, part)) = next() {
            match attempt(cli, part, seed) {
                Ok(outcome) => done.push((number, part.name().0, outcome)),
                Err(error) => {
                    eprintln!("grange-crash: {error:#}");
                    // The other one begins nothing new either.
                    while next().is_some() {}
                    return (done, false);
                }
            }
        }
        (done, true)
    };
    let (done, well) = std::thread::scope(|scope| {
        let other = scope.spawn(worker);
        let (mut done, well) = worker();
        let (others, also) = other.join().unwrap_or_else(|panic| resume_unwind(panic));
        done.extend(others);
        done.sort_by_key(|(number, ..)| *number);
        (done, well && also)
    });
    for (_, name, outcome) in done {
        summary.add(name, outcome);
    }
    anyhow::ensure!(well, "not all went well");
    Ok(())
}

/// Does one part; if that fails, all that is left of it is kept.
fn attempt(cli: &Cli, part: What, seed: u64) -> anyhow::Result<Outcome> {
    let (name, command) = part.name();
    let directory = tempfile::tempdir()?;
    run_part(cli, part, &directory, &mut Random::new(seed)).map_err(|error| {
        let kept = directory.keep();
        error.context(format!(
            "{name} failed; all that is left of it lies in {}; again with:\n  \
             cargo run --package grange-crash -- --programs {} --seed {seed} {command}\n",
            kept.display(),
            cli.programs.display(),
        ))
    })
}

fn run_part(
    cli: &Cli,
    part: What,
    directory: &TempDir,
    random: &mut Random,
) -> anyhow::Result<Outcome> {
    let (programs, at) = (&cli.programs, directory.path());
    match part {
        What::Kills { cycles } => kills::run(programs, at, cycles, random).map(Outcome::Found),
        What::Takeovers { cycles } => {
            takeovers::run(programs, at, cycles, random).map(Outcome::Found)
        }
        What::Power { whose, cycles } => cuts::run(programs, at, whose, cycles, random),
        What::Disks { whose, cycles } => cuts::bad_disks(programs, at, whose, cycles, random),
        What::All { .. } => anyhow::bail!("it has parts"),
    }
}
