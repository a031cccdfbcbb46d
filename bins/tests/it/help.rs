use std::fs;

use clap::CommandFactory;

use crate::process::{AGENT, COORDINATOR, GRANGE, Ran, grange, program};

/// All commands below one, with the words that lead to them.
fn commands(command: &clap::Command, words: &[String], all: &mut Vec<Vec<String>>) {
    all.push(words.to_vec());
    for inner in command.get_subcommands() {
        let mut words = words.to_vec();
        words.push(inner.get_name().to_owned());
        commands(inner, &words, all);
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let programs = [
        (GRANGE, grange_bins::cli::Cli::command()),
        (COORDINATOR, grange_bins::coordinator::Cli::command()),
        (AGENT, grange_bins::agent::Cli::command()),
    ];
    let mut count = 0;
    for (name, command) in programs {
        let mut all = Vec::new();
        commands(&command, &[], &mut all);
        count += all.len();
        for words in all {
            let ran: Ran = program(name)
                .args(&words)
                .arg("--help")
                .output()
                .unwrap()
                .into();
            assert_eq!(ran.status, 0, "{name} {words:?}: {ran:?}");
            assert!(
                ran.stdout.contains("\nExample:\n"),
                "{name} {words:?} has no example:\n{}",
                ran.stdout
            );
            assert!(
                ran.stdout.contains("--json"),
                "{name} {words:?} has no --json"
            );
        }
    }
    assert!(count > 30, "only {count} commands were found");
}

#[test]
fn completions_are_made_for_every_shell_and_program() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = grange(&["completions", shell]).expect(0);
        assert!(ran.stdout.contains("max-silent"), "{shell}");
    }
    let ran = grange(&["completions", "bash", "--program", "grange-agent"]).expect(0);
    assert!(ran.stdout.contains("sandbox-path"));
    grange(&["completions", "none"]).expect(64);
}

#[test]
fn manual_pages_are_made_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("man");
    let ran = grange(&["man", place.to_str().unwrap(), "--json"]).expect(0);
    let pages = ran.json()[0].as_array().unwrap().len();
    assert_eq!(
        fs::read_dir(&place).unwrap().count(),
        pages,
        "no page overwrites another"
    );
    for name in [
        "grange.1",
        "grange-agent.1",
        "grange-build-log.1",
        "grange-agent.8",
        "grange-coordinator.8",
    ] {
        let page = fs::read_to_string(place.join(name)).unwrap();
        assert!(
            page.contains(".SH SYNOPSIS") && page.contains("Example"),
            "{name}:\n{page}"
        );
    }
}

#[test]
fn wrong_command_lines_end_with_64() {
    let uuid = "01938f4e-6b1c-7c3e-9f5b-0c2d8e4f6a10";
    let wrong: [&[&str]; 13] = [
        &[],
        &["build"],
        &["build", uuid],
        &["build", "x.drv", "show"],
        &["build", uuid, uuid, "show"],
        &["build", "--wait", uuid, "show"],
        &["build", "--tag", "x", "y.drv"],
        &["builds", "list", "--state", "gone"],
        &["agent", "show"],
        &["artifacts", "prune", "--delete"],
        &["agent", uuid, "new"],
        &["agent", uuid, "tags", "x"],
        &[
            "build",
            "--coordinator",
            "nowhere",
            "/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv",
        ],
    ];
    for arguments in wrong {
        let ran = grange(arguments);
        assert_eq!(ran.status, 64, "{arguments:?}: {ran:?}");
        assert!(
            !ran.stderr.is_empty() && ran.stdout.is_empty(),
            "{arguments:?}: {ran:?}"
        );
    }
    let arguments = ["--builder", "docker"];
    let ran = Ran::from(program(AGENT).args(arguments).output().unwrap()).expect(64);
    assert!(ran.stderr.contains("sandbox, guix, nix"), "{ran:?}");
}

#[test]
fn a_coordinator_that_is_not_there_is_told_at_once() {
    for url in ["unix:/nonexistent/admin.sock", "http://127.0.0.1:1"] {
        let ran = grange(&["--coordinator", url, "builds", "list"]).expect(69);
        assert!(
            ran.stderr
                .starts_with("grange: cannot reach the coordinator at"),
            "{ran:?}"
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
}

#[test]
fn wrong_configurations_end_with_78() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("x.toml");
    fs::write(&file, "nonsense = 1\n").unwrap();
    for name in [COORDINATOR, AGENT] {
        let ran: Ran = program(name)
            .arg("--config")
            .arg(&file)
            .output()
            .unwrap()
            .into();
        assert_eq!(ran.status, 78, "{ran:?}");
        assert!(ran.stderr.contains("nonsense"), "{ran:?}");
    }
}
