//! What builds use up, why they wait, and why they were given to whom.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::farm::{Store, can_build, start_agent_with};
use crate::process::Coordinator;

fn why(coordinator: &Coordinator, id: &str) -> Value {
    let ran = coordinator
        .grange(&["build", id, "why", "--json"])
        .expect(0);
    ran.json().remove(0)
}

fn says(sentences: &Value, words: &str) -> bool {
    let mut sentences = sentences.as_array().unwrap().iter();
    sentences.any(|sentence| sentence.as_str().unwrap().contains(words))
}

/// Waits until something is said of a build.
fn wait_for(coordinator: &Coordinator, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let said = why(coordinator, id);
        if holds(&said) {
            return said;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{said:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn submit(coordinator: &Coordinator, arguments: &[&str]) -> String {
    let ran = coordinator.grange(&[&["build"], arguments].concat());
    ran.expect(0).stdout.trim().to_owned()
}

#[test]
fn a_build_says_what_it_waits_for_and_whose_turn_it_is() {
    if !can_build() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(directory.path(), &[]);
    fs::create_dir(directory.path().join("drvs")).unwrap();
    let store = Store(directory.path().join("drvs"));
    let gate = directory.path().join("gate");
    fs::write(&gate, "").unwrap();
    let waits = format!(
        "while test -e {}; do /bin/sleep 0.05; done; echo > $out",
        gate.display()
    );
    let (first, first_file) = store.shell("first", &waits, &[]);
    let (_, second_file) = store.shell("second", "echo > $out", &[]);
    let (_, user_file) = store.shell("user", "echo > $out", &[&first]);

    // Nobody is there.
    let user = submit(&coordinator, &[&user_file]);
    let said = why(&coordinator, &user);
    assert_eq!(said["state"], "blocked", "{said:#}");
    assert_eq!(said["roots"][0]["derivation"], first.path.to_string());
    assert!(says(&said["roots"][0]["problems"], "no agent is present"));
    let text = coordinator
        .grange(&["build", &user, "why"])
        .expect(0)
        .stdout;
    assert!(text.contains("it waits in the end for"), "{text}");

    let eta = coordinator.grange(&["builds", "eta", "--json"]).expect(0);
    let [first, last] = &eta.json()[..] else {
        panic!("{}", eta.stdout);
    };
    assert_eq!(
        (&first["state"], &last["state"]),
        (&"ready".into(), &"blocked".into())
    );
    assert_eq!(last["build"], user);
    let reason = last["reason"].as_str().unwrap();
    assert!(
        reason.contains("it waits for first.drv: no agent is present"),
        "{reason}"
    );

    // One is, which has not enough for both.
    let memory = ["--resource", "memory=6G"];
    let one = submit(&coordinator, &[&memory[..], &[&first_file]].concat());
    let path = gate.parent().unwrap().to_str().unwrap().to_owned();
    let has = ["--resource", "memory=10G", "--sandbox-path", &path];
    let agent = start_agent_with(&coordinator, directory.path(), &has);
    wait_for(&coordinator, &one, |said| said["state"] == "running");
    let two = submit(&coordinator, &[&memory[..], &[&second_file]].concat());
    let said = wait_for(&coordinator, &two, |said| {
        says(&said["reasons"], "of memory left")
    });
    assert!(
        says(&said["reasons"], "it is the first in its queue"),
        "{said:#}"
    );
    assert!(says(&said["remedies"], "the end of a build"), "{said:#}");
    let shown = coordinator.grange(&["agents", "list", "--json"]).expect(0);
    assert_eq!(shown.json()[0]["used"]["memory"], 6_u64 << 30);

    let eta = coordinator.grange(&["builds", "eta", &one, &two]).expect(0);
    assert!(eta.stdout.contains("HALF BY"), "{}", eta.stdout);
    assert_eq!(eta.stdout.lines().count(), 3, "{}", eta.stdout);

    // What is asked for in vain.
    let (_, huge_file) = store.shell("huge", "echo > $out", &[]);
    let huge = submit(&coordinator, &["--resource", "memory=1T", &huge_file]);
    let said = why(&coordinator, &huge);
    assert!(says(
        &said["reasons"],
        "no agent that is present offers memory="
    ));

    fs::remove_file(&gate).unwrap();
    for id in [&one, &two, &user] {
        wait_for(&coordinator, id, |said| said["state"] == "succeeded");
    }
    let shown = coordinator
        .grange(&["build", &two, "show", "--json"])
        .expect(0);
    let attempt = shown.json()[0]["attempts"][0].take();
    let choice = attempt["choice"].as_str().unwrap();
    assert!(choice.contains("ready for"), "{choice}");
    let peak = attempt["usage"]["peak_memory"].as_u64().unwrap();
    assert!((1 << 16..1 << 30).contains(&peak), "{attempt}");
    assert_eq!(agent.stop(), Some(0));
}
