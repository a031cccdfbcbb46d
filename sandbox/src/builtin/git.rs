//! `builtin:git-download` of Guix: the files of a commit, without the repository.
//!
//! The machine's `git` is run, in namespaces like a builder, but with the machine's files (read-only) and network: it
//! reads what a stranger sent, so it gets to write nothing but the checkout.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use grange_interfaces::{BuildError, Log, Stop};
use grange_model::{FailureKind, SetupProblem};

use super::download::{bad, required};
use super::http::say;
use crate::attempt::{Attempt, Place};
use crate::output::{cannot, failed};
use crate::plan::{Plan, Process, Raw, Root};
use crate::scheme::{self, Datum};
use crate::tree;

/// Where the helper shows the checkout's directory and an empty home.
const CHECKOUTS: &str = "/tmp/store";
const HOME: &str = "/tmp/build";

/// Makes the checkout `name` in the directory for outputs.
pub(super) async fn checkout(
    attempt: &Attempt<'_>,
    place: &Place,
    name: &str,
    log: &mut Log,
    stop: &Stop,
) -> Result<(), BuildError> {
    let derivation = &attempt.job.derivation;
    let url = match scheme::read(required(derivation, "url")?) {
        Ok(Datum::Text(url)) => url,
        Ok(_) => return Err(bad("url", "it is not a string")),
        Err(what) => return Err(bad("url", &what)),
    };
    let commit = required(derivation, "commit")?;
    if commit.is_empty() || commit.starts_with(b"-") {
        return Err(bad("commit", "it does not name one"));
    }
    let recursive = derivation
        .env("recursive?")
        .is_some_and(|value| value == b"#t");
    let git = Git {
        attempt,
        place,
        program: find(attempt)?,
        directory: format!("{CHECKOUTS}/{name}"),
    };
    let commit = OsStr::from_bytes(commit);
    let text = |text: &'static str| OsStr::new(text);
    say(log, format!("fetching {} of {url}", commit.display())).await;
    git.run(
        &[text("init"), text("--quiet"), git.directory.as_ref()],
        false,
        log,
        stop,
    )
    .await?;
    git.run(
        &[
            text("remote"),
            text("add"),
            text("--"),
            text("origin"),
            url.as_ref(),
        ],
        true,
        log,
        stop,
    )
    .await?;
    // Not every server gives single commits that it is asked for by hash.
    let fetch = [
        text("fetch"),
        text("--quiet"),
        text("--depth=1"),
        text("--"),
        text("origin"),
        commit,
    ];
    let fetched = git.run(&fetch, true, log, stop).await;
    let revision = match fetched {
        Ok(()) => text("FETCH_HEAD"),
        Err(BuildError::Failed {
            kind: FailureKind::Exit(_),
            ..
        }) => {
            say(log, "fetching all of the repository instead".to_owned()).await;
            git.run(
                &[
                    text("fetch"),
                    text("--quiet"),
                    text("--tags"),
                    text("--"),
                    text("origin"),
                ],
                true,
                log,
                stop,
            )
            .await?;
            commit
        }
        Err(error) => return Err(error),
    };
    git.run(
        &[
            text("checkout"),
            text("--quiet"),
            text("--force"),
            revision,
            text("--"),
        ],
        true,
        log,
        stop,
    )
    .await?;
    if recursive {
        let update = ["submodule", "update", "--quiet", "--init", "--recursive"].map(text);
        git.run(&update, true, log, stop).await?;
    }
    let real = place.scratch.outputs().join(name);
    let removed = tokio::task::spawn_blocking(move || remove_repositories(&real)).await;
    removed
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| cannot("remove the repository", &error))
}

struct Git<'a> {
    attempt: &'a Attempt<'a>,
    place: &'a Place,
    program: PathBuf,
    /// The checkout, as git sees it.
    directory: String,
}

impl Git<'_> {
    async fn run(
        &self,
        arguments: &[&OsStr],
        inside: bool,
        log: &mut Log,
        stop: &Stop,
    ) -> Result<(), BuildError> {
        let raw = |path: PathBuf| path.into_os_string().into_vec();
        let scratch = &self.place.scratch;
        let directory = if inside { &self.directory } else { HOME };
        let mut all: Vec<Raw> = vec![b"git".to_vec()];
        all.extend(
            arguments
                .iter()
                .map(|argument| argument.as_bytes().to_vec()),
        );
        let plan = Plan {
            identity: self.place.user.identity(self.attempt.dialect),
            host_network: true,
            root: Root::Machine {
                writable: vec![
                    (raw(scratch.outputs()), CHECKOUTS.into()),
                    (raw(scratch.build()), HOME.into()),
                ],
            },
            process: Some(Process {
                program: self.program.as_os_str().as_bytes().to_vec(),
                arguments: all,
                environment: self.environment(),
                directory: directory.as_bytes().to_vec(),
                allowed: Vec::new(),
                linux32: false,
                refuse_privileged_modes: false,
                limits: self.attempt.limits(),
            }),
        };
        self.attempt
            .run_plan(&plan, log, stop)
            .await
            .map_err(|error| self.told(error))?;
        Ok(())
    }

    /// Says that it was git that failed.
    fn told(&self, error: BuildError) -> BuildError {
        match error {
            BuildError::Failed {
                kind: FailureKind::Exit(code),
                ..
            } => failed(
                FailureKind::Exit(code),
                format!(
                    "{} exited with status {code}: its log says why",
                    self.program.display()
                ),
            ),
            other => other,
        }
    }

    /// Nothing of the machine's configuration, no questions, and no protocol that runs programs or reads files.
    fn environment(&self) -> Vec<Raw> {
        let config = &self.attempt.shared.config;
        let mut variables: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        let options = self.attempt.options;
        for name in options
            .impure_env_vars
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok())
        {
            if let Some(value) = config.impure_environment.get(name) {
                variables.insert(name, value.as_bytes().to_vec());
            }
        }
        let path = std::env::join_paths(&config.search_path).unwrap_or_default();
        variables.insert("PATH", path.into_vec());
        if let Some(certificates) = &config.certificates {
            variables.insert(
                "GIT_SSL_CAINFO",
                certificates.as_os_str().as_bytes().to_vec(),
            );
        }
        for (name, value) in [
            ("HOME", HOME),
            ("TMPDIR", HOME),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ALLOW_PROTOCOL", "http:https:git:ssh"),
        ] {
            variables.insert(name, value.into());
        }
        variables
            .into_iter()
            .map(|(name, value)| [name.as_bytes(), b"=", &value].concat())
            .collect()
    }
}

fn find(attempt: &Attempt<'_>) -> Result<PathBuf, BuildError> {
    let config = &attempt.shared.config;
    let places = config
        .search_path
        .iter()
        .map(|directory| directory.join(&config.git));
    places
        .into_iter()
        .find(|program| program.is_file())
        .ok_or_else(|| BuildError::Setup {
            problem: SetupProblem::Unsupported,
            message: format!(
                "builtin:git-download needs {}, which is not on this machine",
                config.git.display()
            ),
        })
}

/// Removes every `.git`: that of the checkout, and those of its submodules.
fn remove_repositories(checkout: &Path) -> io::Result<()> {
    let mut stack = vec![checkout.to_owned()];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_name() == ".git" {
                tree::remove(&entry.path())?;
            } else if entry.file_type()?.is_dir() {
                stack.push(entry.path());
            }
        }
    }
    Ok(())
}
