//! `grange man`.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::completions::command_of;
use crate::cli::{ManArgs, Program};
use crate::failure::Exit;
use crate::output::Output;

pub(super) fn run(args: &ManArgs, output: Output) -> anyhow::Result<Exit> {
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    let mut pages = Vec::new();
    for program in [
        Program::Grange,
        Program::GrangeCoordinator,
        Program::GrangeAgent,
    ] {
        // Puts the options of all commands into each of them, and its full name: `grange-build-log`.
        let mut command = command_of(program).disable_help_subcommand(true);
        command.build();
        // Programs that are services have their pages where those of administration are; so `grange agent` and
        // `grange-agent` each have one.
        let section = if program == Program::Grange { "1" } else { "8" };
        write(&command, section, &args.dir, &mut pages)?;
    }
    output.value(&pages, |pages| pages.join("\n"))?;
    Ok(Exit::Done)
}

/// The page of a command, and those of its subcommands.
fn write(
    command: &clap::Command,
    section: &str,
    dir: &Path,
    pages: &mut Vec<String>,
) -> anyhow::Result<()> {
    let page = clap_mangen::Man::new(command.clone()).section(section);
    let place = page
        .generate_to(dir)
        .with_context(|| format!("cannot write into {}", dir.display()))?;
    pages.push(place.display().to_string());
    for inner in command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
    {
        write(inner, section, dir, pages)?;
    }
    Ok(())
}
