//! A farm is recorded, killed, goes on, and is replayed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::farm::{Store, can_build, start_agent};
use crate::process::{COORDINATOR, Coordinator, Ran, grange, program};

/// The lines of a recording that say something, with what they say under this key.
fn said(file: &Path, key: &str) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let said = lines.map(|mut line| line[key].take());
    said.filter(|value| !value.is_null()).collect()
}

fn wait_for_ends(file: &Path, count: usize) {
    let start = std::time::Instant::now();
    while said(file, "ended").len() < count {
        assert!(
            start.elapsed().as_secs() < 60,
            "{count} ends are not recorded"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_farm_is_recorded_killed_and_replayed() {
    if !can_build() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let record = directory.path().join("farm.record");
    let file = record.to_str().unwrap();
    fs::create_dir(directory.path().join("drvs")).unwrap();
    let store = Store(directory.path().join("drvs"));
    for round in 0..3 {
        let coordinator = Coordinator::start(directory.path(), &["--record", file]);
        let agent = start_agent(&coordinator, directory.path());
        let (base, _) = store.shell(&format!("base{round}"), "/bin/sleep 0.2; echo > $out", &[]);
        let (_, user) = store.shell(&format!("user{round}"), "echo > $out", &[&base]);
        let more = ["--tag", "submitter=ada", "--priority", "3"];
        let command = [&["build", "--wait"], &more[..], &[&user]].concat();
        coordinator.grange(&command).expect(0);
        // The last of it may not be recorded yet, and the end of a line be missing.
        drop((coordinator, agent));
        let text = fs::read(&record).unwrap();
        fs::write(&record, &text[..text.len() - 20 * round]).unwrap();
    }
    let coordinator = Coordinator::start(directory.path(), &["--record", file]);
    wait_for_ends(&record, 6);
    assert_eq!(said(&record, "submitted").len(), 6);
    assert_eq!(said(&record, "ended").len(), 6);
    assert_eq!(said(&record, "gap"), [Value::Null; 0]);
    assert_eq!(said(&record, "format").len(), 1);

    // It can be replayed while it is written.
    let command = [
        "simulate",
        "--record",
        file,
        "--policy",
        "fifo,priority",
        "--json",
    ];
    let rows = grange(&command).expect(0).json();
    let policies: Vec<_> = rows
        .iter()
        .map(|row| row["policy"].as_str().unwrap())
        .collect();
    assert_eq!(policies, ["recorded", "fifo", "priority"]);
    assert_eq!(rows[0]["recorded"]["left_out"], 0);
    for row in &rows {
        assert_eq!(
            (&row["builds"], &row["derivations"]),
            (&6.into(), &6.into())
        );
        assert!(row["work_ms"].as_u64().unwrap() >= 600, "{row}");
    }
    let ran = grange(&["simulate", "--record", file]).expect(0);
    assert!(
        ran.stdout
            .contains("6 builds were asked for; 6 derivations ran"),
        "{ran:?}"
    );
    assert_eq!(coordinator.running.stop(), Some(0));
}

#[test]
fn what_is_no_recording_is_neither_overwritten_nor_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let novel = directory.path().join("novel");
    let file = novel.to_str().unwrap();
    fs::write(&novel, "It was a dark and stormy night.\n").unwrap();
    let state = directory.path().join("state");
    let mut command = program(COORDINATOR);
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command
        .arg("--state-dir")
        .arg(&state)
        .args(["--record", file]);
    let ran = Ran::from(command.output().unwrap()).expect(78);
    assert!(
        ran.stderr
            .contains("it holds something else than a recording"),
        "{ran:?}"
    );
    assert_eq!(
        fs::read_to_string(&novel).unwrap(),
        "It was a dark and stormy night.\n"
    );

    assert!(!state.join("grange.db").exists());

    let ran = grange(&["simulate", "--record", file]).expect(1);
    assert!(
        ran.stderr
            .contains("line 1 of the recording: this is no recording"),
        "{ran:?}"
    );
    let header = "{\"format\":\"grange-recording\",\"version\":1,\"fact\":0,\"at\":0}\n";
    for (text, expected) in [
        (
            header.replace(":1,", ":2,"),
            "line 1 of the recording: it has version 2",
        ),
        (
            header.to_owned(),
            "nothing ran to its end in the recording yet",
        ),
        (
            format!("{header}{{\"fact\":1}}\n"),
            "line 2 of the recording: missing field `at`",
        ),
    ] {
        fs::write(&novel, text).unwrap();
        let ran = grange(&["simulate", "--record", file]).expect(1);
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
    let ran = grange(&["simulate", "--graph", file]).expect(64);
    assert!(ran.stderr.contains("give it with --record"), "{ran:?}");
}
