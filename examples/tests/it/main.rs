//! Builds the whole demo graph, one derivation after the other, in the sandbox; runs the programs in `examples/`.
//!
//! A test binary with a `main` of its own, because it is also the sandbox's helper. Arguments are parts of names of
//! the tests to run.

mod farm;
mod programs;
mod runs;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

type Test = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

const TESTS: [Test; 3] = [
    ("seeds_build_as_expected_and_twice_the_same", || {
        Box::pin(runs::seeds_build_as_expected_and_twice_the_same())
    }),
    ("the_hosts_compiler_builds_as_expected", || {
        Box::pin(runs::the_hosts_compiler_builds_as_expected())
    }),
    ("every_program_says_what_its_head_says", || {
        Box::pin(programs::every_program_says_what_its_head_says())
    }),
];

fn main() -> ExitCode {
    grange_sandbox::init_main();
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    for (name, test) in TESTS {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            eprintln!("test {name} ...");
            // A test that fails panics, and ends the program with that.
            runtime.block_on(test());
            eprintln!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}
