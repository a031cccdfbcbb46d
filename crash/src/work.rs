//! What is built, and what was acknowledged of it.

use std::fs;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_derivation::{Builder, Instantiated, StoreDir, StorePath, nar, paths};
use serde_json::Value;

use crate::farm::{Client, PATIENCE, UNREACHED};

/// Lines that each build says, beside the first and the last.
const LINES: usize = 6;
/// What marks builds of which the outputs are pruned.
pub(crate) const PRUNED: &str = "for=a-while";

/// A build, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) output: StorePath,
    /// What the output refers to.
    pub(crate) refers: Option<StorePath>,
    pub(crate) made: Instantiated,
    /// Bytes behind its first line.
    size: usize,
    file: String,
    tag: Option<&'static str>,
}

/// Where the items lie that are submitted.
fn store(client: &Client) -> anyhow::Result<std::path::PathBuf> {
    let store = client.directory.join("items");
    fs::create_dir_all(&store)?;
    Ok(store)
}

/// A file that is submitted along, other bytes each time.
pub(crate) fn source(client: &Client, name: &str) -> anyhow::Result<StorePath> {
    let text = format!("a source of {name}\n").repeat(20);
    let new = store(client)?.join(format!("{name}.new"));
    fs::write(&new, text)?;
    let hash = nar::digest_path(&new)?.sha256;
    let path = paths::source_path(&StoreDir::guix(), name, [], false, &hash)?;
    fs::rename(&new, new.with_file_name(path.base_name()))?;
    Ok(path)
}

impl Build {
    /// A derivation whose output has `size` random bytes, and names that of `input`.
    pub(crate) fn new(
        client: &Client,
        name: String,
        size: usize,
        pause: &str,
        source: Option<StorePath>,
        input: Option<&Self>,
        tag: Option<&'static str>,
    ) -> anyhow::Result<Self> {
        let script = format!(
            "echo {name} begins\n\
             n=0\n\
             while [ $n -lt {LINES} ]; do n=$((n + 1)); echo {name} line $n; sleep {pause}; done\n\
             {{ echo {name} $input; head -c {size} /dev/urandom; }} > $out\n\
             echo {name} ends"
        );
        let system = format!("{}-linux", std::env::consts::ARCH);
        let mut builder = Builder::new(&StoreDir::guix(), &name, system, "/bin/sh")
            .args(["-c", &script])
            .env("PATH", "/bin:/usr/bin");
        if let Some(source) = source {
            builder = builder.source(source);
        }
        let refers = input.map(|input| input.output.clone());
        if let (Some(input), Some(path)) = (input, &refers) {
            builder = builder
                .input(&input.made, &["out"])
                .env("input", path.to_string());
        }
        let made = builder.instantiate()?;
        let file = store(client)?.join(made.path.base_name());
        fs::write(&file, &made.text)?;
        Ok(Self {
            name,
            id: uuid::Uuid::now_v7().to_string(),
            output: made.output("out").context("it has an output")?.clone(),
            refers,
            made,
            size,
            file: file.display().to_string(),
            tag,
        })
    }

    /// Submits it until that is acknowledged.
    pub(crate) fn submit(&self, client: &Client) -> anyhow::Result<()> {
        let mut arguments = vec!["build", &self.file, "--id", &self.id];
        if let Some(tag) = self.tag {
            arguments.extend(["--tag", tag]);
        }
        client.grange(&arguments).map(drop)
    }

    /// What `log --follow` prints, a process that is begun once and lives through it all: only if it finds no coordinator
    /// to begin with, it says so and is begun again.
    pub(crate) fn follow(&self, client: &Client) -> JoinHandle<anyhow::Result<Vec<u8>>> {
        let mut command = client.long_command(&["build", &self.id, "log", "--follow"]);
        std::thread::spawn(move || {
            loop {
                let output = command.output()?;
                if output.status.success() {
                    return Ok(output.stdout);
                }
                let error = String::from_utf8_lossy(&output.stderr);
                let began = !output.stdout.is_empty();
                ensure!(
                    !began && output.status.code() == Some(UNREACHED),
                    "a log that is followed broke off: {error}"
                );
            }
        })
    }

    pub(crate) fn show(&self, client: &Client) -> anyhow::Result<Value> {
        let text = client.grange(&["build", &self.id, "show", "--json"])?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until it has ended, which must be well.
    pub(crate) fn wait(&self, client: &Client) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.has_ended(client)? {
            ensure!(
                begun.elapsed() < PATIENCE,
                "it does not end: {:#}",
                self.show(client)?
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Whether it has ended, which must be well.
    pub(crate) fn has_ended(&self, client: &Client) -> anyhow::Result<bool> {
        let view = self.show(client)?;
        match view["build"]["state"].as_str() {
            Some("succeeded") => Ok(true),
            Some("blocked" | "ready" | "running") => Ok(false),
            _ => bail!("it did not succeed: {view:#}"),
        }
    }

    /// Its whole log. The last run is whole; runs before it were cut off when the agent was killed.
    pub(crate) fn log(&self, client: &Client) -> anyhow::Result<Vec<u8>> {
        let log = client.grange(&["build", &self.id, "log"])?;
        let name = &self.name;
        let mut run = format!("{name} begins\n");
        for line in 1..=LINES {
            run.push_str(&format!("{name} line {line}\n"));
        }
        run.push_str(&format!("{name} ends\n"));
        ensure!(log.ends_with(&run), "{name} has another log:\n{log}");
        Ok(log.into_bytes())
    }

    /// Whether these are bytes that the build may have made.
    pub(crate) fn check_content(&self, content: &[u8]) -> anyhow::Result<()> {
        let input = self.refers.as_ref().map(StorePath::to_string);
        let first = format!("{} {}", self.name, input.unwrap_or_default());
        let first = format!("{}\n", first.trim_end());
        ensure!(
            content.starts_with(first.as_bytes()) && content.len() == first.len() + self.size,
            "the output of {} is another one, of {} bytes",
            self.name,
            content.len()
        );
        Ok(())
    }

    pub(crate) fn is_pruned(&self) -> bool {
        self.tag == Some(PRUNED)
    }
}
