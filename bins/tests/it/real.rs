//! The demo on a real guix-daemon and on a real nix-daemon.

use std::fs;
use std::path::PathBuf;

use crate::process::{GRANGE, Ran, program};

/// Where `cargo xtask verify` has a daemon listen; says so if there is none.
fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).map(PathBuf::from);
    if value.is_none() {
        println!("skipped: {name} is not set: `cargo xtask verify` sets it where a daemon can run");
    }
    value
}

/// Runs the demo twice; the second time nothing is left to be built.
fn demo(builder: &str, socket: &str, state: &std::path::Path) {
    let run = || -> Ran {
        let mut command = program(GRANGE);
        command.args([
            "demo",
            "--json",
            "--builder",
            builder,
            "--daemon-socket",
            socket,
        ]);
        command.arg("--state-dir").arg(state);
        Ran::from(command.output().unwrap()).expect(0)
    };
    let first = run().json().pop().unwrap();
    let counts = ["succeeded", "failed", "failed-dependency"].map(|it| first[it].as_u64().unwrap());
    assert_eq!(counts, [67, 1, 5], "{first}");
    assert_eq!(run().json().pop().unwrap()["attempts"], 0);
}

#[test]
fn the_demo_runs_on_a_guix_daemon() {
    let Some(socket) = variable("GRANGE_TEST_GUIX_SOCKET") else {
        return;
    };
    let key = variable("GRANGE_TEST_GUIX_KEY").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let socket = socket.to_str().unwrap();

    let mut command = program(GRANGE);
    command.args(["demo", "--builder", "guix", "--daemon-socket", socket]);
    command.arg("--state-dir").arg(directory.path());
    let refused = Ran::from(command.output().unwrap()).expect(78);
    assert!(
        refused.stderr.contains("guix archive --authorize < "),
        "{refused:?}"
    );

    let own = directory.path().join("agent-1/keys/farm.sec");
    fs::copy(key, own).unwrap();
    demo("guix", socket, directory.path());
}

#[test]
fn the_demo_runs_on_a_nix_daemon() {
    let Some(socket) = variable("GRANGE_TEST_NIX_SOCKET") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    demo("nix", socket.to_str().unwrap(), directory.path());
}
