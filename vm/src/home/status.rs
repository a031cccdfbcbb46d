//! What a machine is doing, as whoever runs it says.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::{HomeError, io};
use crate::run::Choice;

/// What a machine is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Whether it runs.
    pub state: State,
    /// The process that looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<u32>,
    /// The emulator's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emulator: Option<u32>,
    /// What executes it, and why that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<Choice>,
    /// What of its processor the emulator goes on without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_features: Vec<String>,
    /// The kernel that runs in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// How it is, or why it is no more, in words.
    #[serde(default)]
    pub text: String,
}

/// Whether a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// It does not.
    Stopped,
    /// It is being started.
    Starting,
    /// It runs, and answers if it has our program.
    Running,
    /// It is being stopped.
    Stopping,
    /// It has ended without being asked to.
    Failed,
}

impl State {
    /// As it is written in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }
}

impl Status {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            supervisor: None,
            emulator: None,
            accelerator: None,
            missing_features: Vec::new(),
            kernel: None,
            text: String::new(),
        }
    }

    /// Reads what was said last. `held`: whether somebody runs the machine.
    pub(super) fn read(directory: &Path, held: bool) -> Result<Self, HomeError> {
        let path = directory.join("status.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let state = if held {
                    State::Starting
                } else {
                    State::Stopped
                };
                return Ok(Self::new(state));
            }
            Err(error) => return Err(io("read", path)(error)),
        };
        // Half of it, after a power cut, is as good as nothing.
        let said: Self =
            serde_json::from_slice(&text).unwrap_or_else(|_| Self::new(State::Stopped));
        let is_over = matches!(said.state, State::Stopped | State::Failed);
        Ok(match (held, is_over) {
            (true, true) => Self::new(State::Starting),
            (false, false) => Self {
                text: "whoever looked after it was killed".into(),
                ..Self::new(State::Failed)
            },
            _ => said,
        })
    }

    /// Says it.
    pub(super) fn write(&self, directory: &Path) -> Result<(), HomeError> {
        let path = directory.join("status.json");
        let part = directory.join("status.json.part");
        let text = serde_json::to_vec(self).expect("it is words and numbers");
        fs::write(&part, text).map_err(io("write", &part))?;
        fs::rename(&part, &path).map_err(io("rename", part))
    }
}
