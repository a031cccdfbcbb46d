//! What is built.

use std::time::Duration;

use grange_derivation::{Builder, Instantiated, StoreDir};
use grange_interfaces::message::FactView;
use serde_json::Value;

use crate::farm::{Farm, wait_within};

/// A build whose builder is a script.
pub(crate) struct Build {
    pub(crate) id: String,
    made: Instantiated,
    file: String,
}

impl Build {
    /// `inputs` are what `$input0`, `$input1`, … name.
    pub(crate) fn new(farm: &Farm, name: &str, script: &str, inputs: &[&Self]) -> Self {
        let system = format!("{}-linux", std::env::consts::ARCH);
        let mut builder = Builder::new(&StoreDir::guix(), name, system, "/bin/sh")
            .args(["-c", script])
            .env("PATH", "/bin:/usr/bin");
        for (number, input) in inputs.iter().enumerate() {
            builder = builder
                .input(&input.made, &["out"])
                .env(format!("input{number}"), input.output());
        }
        let made = builder.instantiate().unwrap();
        let file = farm.path().join(made.path.base_name());
        std::fs::write(&file, &made.text).unwrap();
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            file: file.display().to_string(),
            made,
        }
    }

    /// A file of so many random bytes.
    pub(crate) fn random(farm: &Farm, name: &str, bytes: u64) -> Self {
        Self::new(
            farm,
            name,
            &format!("head -c {bytes} /dev/urandom > $out"),
            &[],
        )
    }

    pub(crate) fn output(&self) -> String {
        self.made.output("out").unwrap().to_string()
    }

    pub(crate) fn submit(&self, farm: &Farm) {
        farm.grange(&["build", &self.file, "--id", &self.id]);
    }

    /// Submits it and waits.
    pub(crate) fn run(&self, farm: &Farm) {
        self.submit(farm);
        self.wait(farm);
    }

    pub(crate) fn show(&self, farm: &Farm) -> Value {
        let text = farm.grange(&["build", &self.id, "show", "--json"]);
        serde_json::from_str(&text).unwrap()
    }

    /// Whether an attempt is in this state.
    pub(crate) fn is(&self, farm: &Farm, state: &str) -> bool {
        let view = self.show(farm);
        let attempts = view["attempts"].as_array().unwrap();
        attempts.iter().any(|attempt| attempt["state"] == state)
    }

    /// Waits until it has succeeded, and its output is there.
    pub(crate) fn wait(&self, farm: &Farm) {
        self.wait_within(Duration::from_secs(120), farm);
    }

    /// The same, so long at most.
    pub(crate) fn wait_within(&self, most: Duration, farm: &Farm) {
        wait_within(most, "a build", || {
            let view = self.show(farm);
            let state = view["build"]["state"].as_str().unwrap();
            let ended = state == "succeeded";
            let goes_on = ["blocked", "ready", "running"].contains(&state);
            assert!(ended || goes_on, "{view:#}");
            assert!(
                !ended || view["outputs"][0]["available"] == true,
                "{view:#}"
            );
            ended
        });
    }

    /// Fetches its output, which is verified by that.
    pub(crate) fn fetch(&self, farm: &Farm) -> std::path::PathBuf {
        let to = farm.path().join(&self.id);
        farm.grange(&["fetch", &self.output(), "--to", to.to_str().unwrap()]);
        to
    }

    /// How often this happened to it, or to its derivation, which nothing else builds.
    pub(crate) fn count(&self, facts: &[FactView], what: &str) -> usize {
        let derivation = self.made.path.to_string();
        let own = facts.iter().filter(|fact| {
            let mut ids = fact.builds.iter().map(ToString::to_string);
            ids.any(|id| id == self.id) || fact.path.as_ref() == Some(&derivation)
        });
        own.filter(|fact| fact.what == what).count()
    }

    /// It ended once, and was begun anew only where a lease had run out.
    pub(crate) fn check_once(&self, facts: &[FactView]) {
        let count = |what| self.count(facts, what);
        assert_eq!((count("submitted"), count("ended")), (1, 1));
        let (started, expired) = (count("started"), count("expired"));
        assert!(
            (1..=1 + expired).contains(&started),
            "begun {started} times, expired {expired} times"
        );
    }
}

/// The hash of a file, as `sha256sum` prints it.
pub(crate) fn sha256(file: &std::path::Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(file).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.split(' ').next().unwrap().to_owned()
}
