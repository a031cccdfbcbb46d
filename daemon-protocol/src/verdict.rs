//! How a build ended, from what the daemon says of it.

use std::time::Duration;

use grange_derivation::Derivation;
use grange_interfaces::BuildError;
use grange_model::{FailureKind, SetupProblem};

use crate::error::says_full;

/// All that is known of a build that did not succeed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Whether the builder was started.
    pub started: bool,
    /// Why it failed, in the daemon's words.
    pub message: String,
    /// What else the daemon said last.
    pub said: String,
    /// Whether it ran too long or was silent too long.
    pub timed_out: bool,
    /// Whether outputs were not acceptable.
    pub rejected: bool,
    /// The hashes, if a fixed output has another one than it must.
    pub mismatch: Option<String>,
    /// How long the builder ran.
    pub took: Duration,
    /// How long it may.
    pub timeout: Duration,
}

impl Ending {
    /// Whether the builder was not started because others run as all the users that there are for builds.
    pub(crate) fn lacks_users(&self) -> bool {
        let words = "all build users are currently in use";
        !self.started && (self.message.contains(words) || self.said.contains(words))
    }

    /// What is reported.
    pub(crate) fn error(mut self, derivation: &Derivation) -> BuildError {
        if says_full(&self.message) || says_full(&self.said) {
            let message = self.describe();
            return setup(SetupProblem::DiskFull, message);
        }
        if !self.started {
            let problem = if says_unsupported(&self.message) {
                SetupProblem::Unsupported
            } else {
                SetupProblem::Other
            };
            let message = format!("the daemon did not start the builder: {}", self.describe());
            return setup(problem, message);
        }
        let kind = self.kind(derivation);
        if let Some(hashes) = &self.mismatch {
            self.message = format!("{}: {hashes}", self.message);
        }
        BuildError::Failed {
            kind,
            message: self.describe(),
        }
    }

    fn kind(&self, derivation: &Derivation) -> FailureKind {
        let message = &self.message;
        if self.timed_out {
            return self.overrun();
        }
        if let Some(code) = number_behind(message, "failed with exit code ") {
            return FailureKind::Exit(code);
        }
        if let Some(signal) = number_behind(message, "failed due to signal ") {
            return FailureKind::Signal(signal);
        }
        if message.contains("failed to produce output path") {
            return FailureKind::MissingOutput(missing_output(message, derivation));
        }
        if self.mismatch.is_some() || message.contains("hash mismatch") {
            return FailureKind::HashMismatch;
        }
        if message.contains("not allowed to refer to") {
            return FailureKind::ForbiddenReference;
        }
        let bad = ["suspicious ownership", "unknown type", "unsupported type"];
        if self.rejected || bad.iter().any(|words| message.contains(words)) {
            return FailureKind::BadOutput;
        }
        FailureKind::Other
    }

    /// Newer daemons do not say which limit it was.
    fn overrun(&self) -> FailureKind {
        let silence = self.message.contains("of silence") || self.said.contains("of silence");
        if silence || self.took < self.timeout {
            FailureKind::Silence
        } else {
            FailureKind::Timeout
        }
    }

    fn describe(&self) -> String {
        if self.message.is_empty() {
            self.said.clone()
        } else {
            self.message.clone()
        }
    }
}

/// What nix-daemon says of a system or feature that it does not have, from 2.8 to 2.34.
fn says_unsupported(message: &str) -> bool {
    [
        "is required to build",
        "platform mismatch",
        "missing system features",
        "required system or feature",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The builder was not run, or not as it should be.
pub(crate) fn setup(problem: SetupProblem, message: String) -> BuildError {
    BuildError::Setup { problem, message }
}

fn number_behind(text: &str, words: &str) -> Option<i32> {
    let (_, rest) = text.split_once(words)?;
    let end = rest.find(|it: char| !it.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

/// Nix names the output, Guix its path.
fn missing_output(message: &str, derivation: &Derivation) -> String {
    let named = message
        .split_once("for output '")
        .and_then(|(_, rest)| rest.split_once('\''))
        .map(|(name, _)| name.to_owned());
    let by_path = || {
        let mut outputs = derivation.outputs.iter();
        outputs
            .find(|(_, output)| message.contains(&format!("{}'", output.path)))
            .map(|(name, _)| name.to_string())
    };
    named.or_else(by_path).unwrap_or_else(|| "out".to_owned())
}

#[cfg(test)]
mod tests {
    use grange_derivation::{Builder, StoreDir};

    use super::*;

    fn derivation() -> Derivation {
        let builder = Builder::new(&StoreDir::guix(), "x", "x86_64-linux", "/bin/sh");
        builder
            .output("out")
            .output("lib")
            .instantiate()
            .unwrap()
            .derivation
    }

    fn ended(message: &str) -> BuildError {
        let ending = Ending {
            started: true,
            message: message.to_owned(),
            ..Ending::default()
        };
        ending.error(&derivation())
    }

    fn kind(error: BuildError) -> FailureKind {
        match error {
            BuildError::Failed { kind, .. } => kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_daemons_say() {
        let lib = derivation().outputs["lib"].path.clone();
        for (message, expected) in [
            (
                "builder for `/gnu/store/x.drv' failed with exit code 3".to_owned(),
                FailureKind::Exit(3),
            ),
            (
                "Cannot build 'x'.\nReason: builder failed with exit code 3.\nOutput paths:"
                    .to_owned(),
                FailureKind::Exit(3),
            ),
            (
                "builder for `x' failed due to signal 9 (Killed)".to_owned(),
                FailureKind::Signal(9),
            ),
            (
                format!("builder for `x' failed to produce output path `{lib}'"),
                FailureKind::MissingOutput("lib".to_owned()),
            ),
            (
                "builder for 'x' failed to produce output path for output 'lib' at '/y'".to_owned(),
                FailureKind::MissingOutput("lib".to_owned()),
            ),
            (
                "hash mismatch in fixed-output derivation 'x':".to_owned(),
                FailureKind::HashMismatch,
            ),
            (
                "output (`x') is not allowed to refer to path `y'".to_owned(),
                FailureKind::ForbiddenReference,
            ),
            (
                "suspicious ownership or permission on `x'; rejecting this build output".to_owned(),
                FailureKind::BadOutput,
            ),
            ("something else".to_owned(), FailureKind::Other),
        ] {
            assert_eq!(kind(ended(&message)), expected, "{message}");
        }
    }

    #[test]
    fn which_limit_it_was() {
        let overrun = |message: &str, seconds| {
            let ending = Ending {
                started: true,
                said: message.to_owned(),
                timed_out: true,
                took: Duration::from_secs(seconds),
                timeout: Duration::from_secs(5),
                ..Ending::default()
            };
            kind(ending.error(&derivation()))
        };
        assert_eq!(
            overrun("timed out after 5 seconds of silence", 7),
            FailureKind::Silence
        );
        assert_eq!(
            overrun("timed out after 2 seconds", 2),
            FailureKind::Silence
        );
        assert_eq!(
            overrun("timed out after %2% seconds", 5),
            FailureKind::Timeout
        );
    }

    #[test]
    fn who_is_to_blame_when_nothing_ran() {
        let ending = |message: &str| Ending {
            message: message.to_owned(),
            ..Ending::default()
        };
        let problem = |message| match ending(message).error(&derivation()) {
            BuildError::Setup { problem, .. } => problem,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            problem("all build users are currently in use; consider creating additional users"),
            SetupProblem::Other
        );
        assert_eq!(
            problem("writing to file: No space left on device"),
            SetupProblem::DiskFull
        );
        assert_eq!(
            problem(
                "a 'riscv64-linux' with features {} is required to build 'x', but I am a 'x86_64-linux'"
            ),
            SetupProblem::Unsupported
        );
        assert_eq!(
            problem(
                "Cannot build 'x'.\nReason: platform mismatch\nRequired system: 'riscv64-linux'"
            ),
            SetupProblem::Unsupported
        );
    }
}
