//! `grange completions`.

use std::io;

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs, Program};
use crate::failure::Exit;

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut command = command_of(args.program);
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(Exit::Done)
}

/// The command line of a program.
pub(super) fn command_of(program: Program) -> clap::Command {
    match program {
        Program::Grange => Cli::command(),
        Program::GrangeCoordinator => crate::coordinator::Cli::command(),
        Program::GrangeAgent => crate::agent::Cli::command(),
    }
}
