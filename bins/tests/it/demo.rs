//! The demo, with this machine's compiler, so that no network is needed.

use std::path::Path;

use grange_sandbox::{Helper, check_support};
use serde_json::Value;

use crate::process::{AGENT, GRANGE, Ran, program};

fn demo(state: &Path, more: &[&str]) -> Ran {
    let mut command = program(GRANGE);
    // Without package tools in reach, the demo has to take the machine's compiler.
    command
        .env("PATH", "/nonexistent")
        .args(["demo", "--json", "--state-dir"])
        .arg(state)
        .args(more);
    command.output().unwrap().into()
}

fn why_not() -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if let Err(error) = runtime.block_on(check_support(&Helper::Program(AGENT.into()))) {
        return Some(error.to_string());
    }
    let missing = ["/usr/bin/cc", "/usr/bin/ar", "/bin/sh"]
        .into_iter()
        .find(|tool| !Path::new(tool).exists());
    missing.map(|tool| format!("there is no {tool}"))
}

#[test]
fn the_demo_ends_as_planned_and_a_second_run_builds_nothing() {
    if let Some(why) = why_not() {
        println!("skipped: {why}");
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let summary = |ran: &Ran| -> Value { ran.json().pop().unwrap() };
    let first = demo(state.path(), &[]).expect(0);
    assert!(
        first.stderr.contains("the host's compiler"),
        "it says what it builds with: {first:?}"
    );
    let first = summary(&first);
    let count = |summary: &Value, word: &str| summary[word].as_u64().unwrap();
    assert!(count(&first, "succeeded") >= 40, "{first}");
    assert_eq!(count(&first, "failed"), 1, "{first}");
    assert!(count(&first, "failed-dependency") >= 1, "{first}");
    assert_eq!(
        count(&first, "attempts"),
        count(&first, "succeeded") + 1,
        "{first}"
    );

    let second = summary(&demo(state.path(), &[]).expect(0));
    assert_eq!(count(&second, "attempts"), 0, "{second}");
    assert_eq!(second["succeeded"], first["succeeded"]);
    assert_eq!(second["failed-dependency"], first["failed-dependency"]);
    assert_eq!(second["as-planned"], true);
}
