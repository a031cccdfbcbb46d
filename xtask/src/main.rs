//! Grange's own tasks.
//!
//! `cargo xtask verify` says whether a tree may land, and never writes into it; `--install` first
//! installs what the tests need. `cargo xtask fix` mends what can be mended by itself.

mod coverage;
mod crash;
mod daemons;
mod edges;
mod fuzz;
mod growth;
mod guest;
mod install;
mod mutants;
mod run;
mod servers;
mod sim;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask verify [--install]   formatting, lints, edges, documentation, instructions, tests,
                                        crashes, a moment of fuzzing
       cargo xtask fix                  formatting, and lints that mend themselves
       cargo xtask sim [--seeds N] [--seed S [--without CUTS]] | --bugs
                                        simulated farms; with bugs that they must find
       cargo xtask fuzz [TARGET…] [--minutes N] [--keep]
                                        N minutes of CPU each (20); keep what covers more
       cargo xtask crash [--cycles N]   N times kill -9 (300), power cuts, bad disks
       cargo xtask growth [--to BUILDS] instructions of the core for a build, one of 10,000 and one of
                                        so many (100,000); needs valgrind
       cargo xtask guest                the program that runs in virtual build machines, for grange vm
       cargo xtask mutants [PACKAGE…] [--seed N] [--count N]
                                        N mutants (100) of each crate; needs cargo-mutants
       cargo xtask coverage             which lines of the cores the tests come to
       cargo xtask seeds                the toolchain that tests build with, into target/seeds";

fn main() -> ExitCode {
    match task() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn task() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["verify"] => verify(false),
        ["verify", "--install"] => {
            install::packages()?;
            install::qemu()?;
            install::seeds()?;
            install::guix()?;
            verify(true)
        }
        ["crash"] => crash::run(crash::Cycles::of(300), false),
        ["crash", "--cycles", cycles] => crash::run(crash::Cycles::of(cycles.parse()?), false),
        ["coverage"] => coverage::coverage(),
        ["fix"] => fix(),
        ["fuzz", arguments @ ..] => fuzz::fuzz(arguments),
        ["guest"] => guest::build(),
        ["growth", arguments @ ..] => growth::growth(arguments),
        ["mutants", arguments @ ..] => mutants::mutants(arguments),
        ["sim", arguments @ ..] => sim::sim(arguments),
        ["seeds"] => install::seeds(),
        _ => bail!("{USAGE}"),
    }
}

/// With `installed`, what can be installed is there: the crash run skips nothing else than what the kernel lacks.
fn verify(installed: bool) -> Result<()> {
    run::step("formatting", &["cargo", "fmt", "--all", "--check"])?;
    tidy::check()?;
    edges::check()?;
    run::step(
        "lints",
        &[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
    )?;
    run::step_with(
        "documentation",
        &[
            "cargo",
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ],
        &[(
            "RUSTDOCFLAGS",
            "--deny warnings --allow rustdoc::private_intra_doc_links",
        )],
    )?;
    sim::verify()?;
    growth::verify(installed)?;
    guest::build()?;
    let daemons = daemons::Daemons::start()?;
    let environment: Vec<_> = daemons
        .environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let tests = ["cargo", "test", "--workspace", "--no-fail-fast"];
    run::step_with("tests", &tests, &environment)?;
    drop(daemons);
    crash::run(crash::Cycles::VERIFY, installed)?;
    fuzz::smoke()
}

fn fix() -> Result<()> {
    run::step(
        "lints",
        &[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--fix",
            "--allow-dirty",
            "--allow-staged",
        ],
    )?;
    run::step("formatting", &["cargo", "fmt", "--all"])
}
