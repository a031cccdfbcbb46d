//! From the command line to a command.

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use super::{
    agents, artifacts, build, builds, completions, derivation, fetch, history, key, man, nar,
    simulate, substitutes, traps, vm,
};
use crate::cli::{Cli, Command};
use crate::failure::{self, Exit};
use crate::output::Output;
use crate::{demo, fail_points, logging};

/// The program `grange`.
#[must_use]
pub fn main() -> ExitCode {
    // A copy of this program may have been started as the first process of a build.
    grange_sandbox::init_main();
    fail_points::control();
    match Cli::try_parse() {
        Ok(cli) => failure::end("grange", run(cli)),
        Err(error) => usage_error(&error),
    }
}

/// Prints what clap says: help and version are no errors, everything else is a wrong command line.
#[must_use]
pub fn usage_error(error: &clap::Error) -> ExitCode {
    // If this cannot be printed, nothing can.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
        _ => Exit::Usage.into(),
    }
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    let output = Output::new(cli.global.json);
    // The demo shows what happens itself.
    logging::start(
        if matches!(cli.command, Command::Demo(_)) {
            "error"
        } else {
            "warn"
        },
        false,
    )?;
    match cli.command {
        Command::Derivation(command) => return derivation::run(command, output),
        Command::Nar(command) => return nar::run(command, output),
        Command::Key(command) => return key::run(command, output),
        Command::Simulate(args) => return simulate::run(&args, output),
        Command::Traps(args) => return traps::run(&args, output),
        Command::Completions(args) => return completions::run(&args),
        Command::Man(args) => return man::run(&args, output),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Build(args) => build::run(&cli.global, args, output).await,
            Command::Builds(command) => builds::run(&cli.global, command, output).await,
            Command::Agents(command) => agents::list(&cli.global, command, output).await,
            Command::Agent(args) => agents::run(&cli.global, args, output).await,
            Command::Artifacts(command) => artifacts::run(&cli.global, command, output).await,
            Command::History(command) => history::run(&cli.global, command, output).await,
            Command::Fetch(args) => fetch::run(&cli.global, args, output).await,
            Command::Substitutes(command) => substitutes::run(command, output).await,
            Command::Demo(args) => demo::run(args, output).await,
            Command::Vm(args) => vm::run(&cli.global, args, output).await,
            Command::Derivation(_)
            | Command::Nar(_)
            | Command::Key(_)
            | Command::Simulate(_)
            | Command::Traps(_)
            | Command::Completions(_)
            | Command::Man(_) => Ok(Exit::Done),
        }
    });
    // What still runs on other threads is a read from a terminal or a pipe at most.
    runtime.shutdown_background();
    ended
}
