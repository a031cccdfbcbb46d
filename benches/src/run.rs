//! Starting a benchmark.

use std::future::Future;
use std::process::ExitCode;

use crate::report::{line, machine};

/// Runs a benchmark, if `cargo bench` asks for it: `cargo test --all-targets` starts benchmarks too, and is in a hurry.
///
/// The sandbox runs the program again as its helper, so this has to be the first thing in `main`.
pub fn run<F: Future<Output = anyhow::Result<()>>>(
    name: &str,
    benchmark: impl FnOnce() -> F,
) -> ExitCode {
    grange::sandbox::init_main();
    if !std::env::args().any(|argument| argument == "--bench") {
        line(&format!("{name}: skipped: it runs with cargo bench"));
        return ExitCode::SUCCESS;
    }
    line(&format!("{name}: {}", machine()));
    let ended = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(benchmark()));
    match ended {
        Ok(()) => {
            line(&format!("{name}: at the end {}", machine()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            line(&format!("{name}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What follows `--NAME` on the command line.
#[must_use]
pub fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| *argument != format!("--{name}"));
    arguments.next()?;
    arguments.next()
}

/// The number that follows `--NAME` on the command line, or `default`.
///
/// # Errors
///
/// What follows is no number.
pub fn number(name: &str, default: u64) -> anyhow::Result<u64> {
    argument(name).map_or(Ok(default), |text| {
        text.parse()
            .map_err(|_| anyhow::anyhow!("--{name} {text}: no number"))
    })
}
