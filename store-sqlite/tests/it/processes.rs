//! Real processes: the test's own program, started again.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use grange_interfaces::{Claim, Datastore, StoreError};
use grange_model::Seq;
use grange_testing::conformance::run;

use crate::support::{Place, Writer, assert_whole, open};

/// Names the database to the second process.
const DATABASE: &str = "GRANGE_TEST_DATABASE";

/// The second process: it claims the database and commits once for each line that it is given,
/// or for ever if the line is `on`, and tells of each.
///
/// As a test of its own it says nothing for each commit and stops by itself.
#[test]
fn second_process() {
    let Some(database) = std::env::var_os(DATABASE) else {
        let place = Place::new();
        return run(async {
            let mut writer = Writer::claim(open(&place.path()).unwrap()).await;
            for _ in 0..20 {
                writer.write().await.unwrap();
            }
            assert_whole(&writer.store, writer.term, Seq(20)).await;
        });
    };
    run(async {
        let mut writer = Writer::claim(open(Path::new(&database)).unwrap()).await;
        tell(&format!("claimed {}", writer.term.0));
        let mut lines = stdin().lines();
        while let Some(Ok(line)) = lines.next() {
            loop {
                match writer.write().await {
                    Ok(()) => tell(&format!("wrote {}", writer.seq.0)),
                    Err(StoreError::Fenced { .. }) => tell("fenced"),
                    Err(error) => tell(&format!("failed: {error}")),
                }
                if line != "on" {
                    break;
                }
            }
        }
    });
}

fn tell(line: &str) {
    let mut out = stdout().lock();
    // If nobody listens any more, the process is about to be killed.
    let _ = writeln!(out, "\n@{line}").and_then(|()| out.flush());
}

/// The second process, killed at the latest with the test.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(place: &Place) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["processes::second_process", "--exact", "--nocapture"])
            .env(DATABASE, place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// The next thing that it tells; none at its end.
    fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(said) = line
                .strip_prefix('@')
                .and_then(|said| said.strip_suffix('\n'))
            {
                return Some(said.to_owned());
            }
        }
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let place = Place::new();
    let mut acknowledged = 0;
    for round in 1..=20 {
        let mut process = Process::start(&place);
        assert_eq!(process.hear(), Some(format!("claimed {}", 2 * round - 1)));
        process.say("on");
        // Each time somewhere else in the life of the write-ahead log.
        for heard in 0.. {
            if heard == round * 7 {
                process.kill();
            }
            // What was told before it was killed comes still.
            let Some(said) = process.hear() else { break };
            acknowledged = said.strip_prefix("wrote ").unwrap().parse().unwrap();
        }
        run(async {
            let writer = Writer::claim(open(&place.path()).unwrap()).await;
            let written = writer.seq.0;
            assert!(
                written >= acknowledged,
                "commit {acknowledged} is gone, {written} is the last"
            );
            assert!(written <= acknowledged + 1, "one commit was under way");
            assert_whole(&writer.store, writer.term, writer.seq).await;
            acknowledged = written;
        });
    }
    assert!(acknowledged >= 20 * 21 / 2 * 7);
}

#[test]
fn the_database_of_another_process_is_in_use_and_can_be_taken_over() {
    let place = Place::new();
    let mut process = Process::start(&place);
    assert_eq!(process.hear().as_deref(), Some("claimed 1"));
    process.say("one");
    assert_eq!(process.hear().as_deref(), Some("wrote 1"));
    run(async {
        let store = open(&place.path()).unwrap();
        match store.claim(Claim::Exclusive).await {
            Err(StoreError::InUse(who)) => {
                assert!(
                    who.contains(&format!("process {}", process.child.id())),
                    "{who}"
                );
            }
            other => panic!("another process has it: {other:?}"),
        }
        process.say("one");
        assert_eq!(process.hear().as_deref(), Some("wrote 2"));
        let claimed = store.claim(Claim::Force).await.unwrap();
        assert_eq!((claimed.term.0, claimed.seq), (2, Seq(2)));
        process.say("one");
        assert_eq!(process.hear().as_deref(), Some("fenced"));
        // The fenced one lives, and is in nobody's way any more.
        drop(store);
        let mut writer = Writer::claim(open(&place.path()).unwrap()).await;
        writer.write().await.unwrap();
        process.say("one");
        assert_eq!(process.hear().as_deref(), Some("fenced"));
        assert_whole(&writer.store, writer.term, Seq(3)).await;
    });
}
