//! So many builds are submitted and finished, and nothing else: `cargo xtask growth` counts the instructions that it takes.
//!
//! `operations BUILDS`. Whatever their number, they lie in ten layers and have as many inputs at the mean, and ten agents take ten
//! at a time.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use grange_coordinator_core::Config;
use grange_replay::{Copies, Layers, Rush};

fn main() -> ExitCode {
    let mut said = std::io::stdout();
    let builds = std::env::args().nth(1);
    let Some(builds) = builds.and_then(|number| number.parse().ok()) else {
        let _ = writeln!(said, "usage: operations BUILDS");
        return ExitCode::FAILURE;
    };
    let graph = Layers::ten(builds).draw();
    let inputs = graph.uses() as f64 / f64::from(builds);
    // Valgrind counts instructions, and knows of no thread's time.
    let clock = || Duration::ZERO;
    let mut rush = Rush::new(Copies::new(graph, 1), Config::default(), clock, 10, 10);
    if let Err(error) = rush.submit().and_then(|()| rush.drain()) {
        let _ = writeln!(said, "{error}");
        return ExitCode::FAILURE;
    }
    let _ = writeln!(said, "{builds} builds, {inputs:.2} inputs each");
    ExitCode::SUCCESS
}
