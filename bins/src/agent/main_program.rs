//! The program.

use std::process::ExitCode;

use clap::Parser as _;

use super::cli::Cli;
use super::serve;
use super::settings::Settings;
use crate::commands::usage_error;
use crate::fail_points;
use crate::failure::{self, Exit};
use crate::logging;

/// The program `grange-agent`.
#[must_use]
pub fn main() -> ExitCode {
    // A copy of this program may have been started as the first process of a build.
    grange_sandbox::init_main();
    fail_points::control();
    match Cli::try_parse() {
        Ok(cli) => failure::end("grange-agent", run(&cli)),
        Err(error) => usage_error(&error),
    }
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    logging::start("info", cli.json)?;
    let settings = Settings::new(&cli.flags)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve::run(settings)).map(|()| Exit::Done)
}
