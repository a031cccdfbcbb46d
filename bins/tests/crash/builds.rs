//! What is built: scripts that say what they do, and make an output of half a megabyte.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use grange_derivation::{Builder, StoreDir, StorePath};
use serde_json::Value;

use crate::processes::Place;

/// Lines that each says, beside the first and the last.
const LINES: usize = 10;

pub(crate) struct Build {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) output: StorePath,
    file: String,
}

impl Build {
    pub(crate) fn new(place: &Place, number: usize) -> Self {
        let name = format!("crash-{number}");
        let script = format!(
            "echo {name} begins\n\
             n=0\n\
             while [ $n -lt {LINES} ]; do n=$((n + 1)); echo {name} line $n; sleep 0.01; done\n\
             {{ echo {name}; head -c 500000 /dev/urandom; }} > $out\n\
             echo {name} ends"
        );
        let system = format!("{}-linux", std::env::consts::ARCH);
        let made = Builder::new(&StoreDir::guix(), &name, system, "/bin/sh")
            .args(["-c", &script])
            .env("PATH", "/bin:/usr/bin")
            .instantiate()
            .unwrap();
        let file = place.directory.join(made.path.base_name());
        std::fs::write(&file, &made.text).unwrap();
        Self {
            name,
            id: uuid::Uuid::now_v7().to_string(),
            output: made.output("out").unwrap().clone(),
            file: file.display().to_string(),
        }
    }

    /// Submits it until that is acknowledged.
    pub(crate) fn submit(&self, place: &Place, end: Instant) {
        loop {
            let output = place.run(&["build", &self.file, "--id", &self.id]);
            if output.status.success() {
                return;
            }
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(69), "{error}");
            assert!(Instant::now() < end, "not acknowledged: {error}");
        }
    }

    /// What `log --follow` prints, a process that is begun once and lives through it all: only if
    /// it finds no coordinator to begin with, it says so and is begun again.
    pub(crate) fn follow(&self, place: &Place) -> JoinHandle<Vec<u8>> {
        let mut command = place.command(&["build", &self.id, "log", "--follow"]);
        std::thread::spawn(move || {
            loop {
                let output = command.output().unwrap();
                if output.status.success() {
                    return output.stdout;
                }
                let error = String::from_utf8_lossy(&output.stderr);
                let began = !output.stdout.is_empty();
                assert!(!began && output.status.code() == Some(69), "{error}");
            }
        })
    }

    pub(crate) fn show(&self, place: &Place) -> Value {
        let text = place.grange(&["build", &self.id, "show", "--json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&self, place: &Place, end: Instant) -> Value {
        loop {
            let view = self.show(place);
            match view["build"]["state"].as_str().unwrap() {
                "succeeded" => return view,
                "ready" | "running" => {
                    assert!(Instant::now() < end, "it does not end: {view:#}");
                    std::thread::sleep(Duration::from_millis(50));
                }
                _ => panic!("{view:#}"),
            }
        }
    }

    /// Its whole log. The last run is whole; runs before it were cut off when the agent was killed.
    pub(crate) fn check_log(&self, place: &Place) -> Vec<u8> {
        let log = place.run(&["build", &self.id, "log"]).stdout;
        let text = String::from_utf8(log.clone()).unwrap();
        let mut run = format!("{} begins\n", self.name);
        for line in 1..=LINES {
            run.push_str(&format!("{} line {line}\n", self.name));
        }
        run.push_str(&format!("{} ends\n", self.name));
        assert!(text.ends_with(&run), "{}:\n{text}", self.name);
        let begins = text.matches(&format!("{} begins\n", self.name)).count();
        let whole = text.matches(&run).count();
        if begins > 1 {
            println!(
                "{}: begun {begins} times, {whole} of them to the end",
                self.name
            );
        }
        log
    }
}
