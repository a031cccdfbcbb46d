//! How programs end.

use std::fmt;
use std::process::ExitCode;

use grange_coordinator::client::ClientError;
use grange_interfaces::{Fault, Refusal};

/// How a program ends. The numbers are those of `sysexits.h` where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Done,
    /// Any other error.
    Error,
    /// A build failed.
    Failed,
    /// A dependency of a build failed.
    FailedDependency,
    /// A build was canceled.
    Canceled,
    /// The command line is wrong.
    Usage,
    /// The coordinator was not reached.
    Unavailable,
    /// The configuration or the machine does not allow it.
    Config,
    /// As a command of the user's did, in a virtual machine.
    Command(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Error => 1,
            Exit::Failed => 2,
            Exit::FailedDependency => 3,
            Exit::Canceled => 4,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::Config => 78,
            Exit::Command(code) => code,
        })
    }
}

/// An error that says itself how the program ends.
#[derive(Debug)]
pub struct Failure {
    /// How.
    pub exit: Exit,
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The command line is wrong in a way that only the whole of it shows.
#[must_use]
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Failure {
        exit: Exit::Usage,
        message: format!("{} (see --help)", message.into()),
    }
    .into()
}

/// The configuration or the machine does not allow it.
#[must_use]
pub fn config(message: impl Into<String>) -> anyhow::Error {
    Failure {
        exit: Exit::Config,
        message: message.into(),
    }
    .into()
}

/// Ends a program: says what went wrong, in one line, and gives its status.
#[must_use]
pub fn end(program: &str, result: anyhow::Result<Exit>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        // Who read our output has enough of it.
        Err(error) if is_broken_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            eprintln!("{program}: {}", one_line(&error));
            exit_of(&error).into()
        }
    }
}

/// How a program ends because of this error.
#[must_use]
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let exit = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>().map(|failure| failure.exit));
    exit.unwrap_or_else(|| match fault(error) {
        Some(Fault::Busy) => Exit::Unavailable,
        _ => Exit::Error,
    })
}

/// The error, its causes, and whose turn it is.
#[must_use]
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some causes repeat theirs.
        if line.ends_with(&cause) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&cause.replace('\n', " "));
    }
    match fault(error).map(Fault::turn) {
        Some(turn) if !line.ends_with(&format!("({turn})")) => format!("{line} ({turn})"),
        _ => line,
    }
}

fn fault(error: &anyhow::Error) -> Option<Fault> {
    error.chain().find_map(|cause| {
        let client = cause.downcast_ref::<ClientError>().map(ClientError::fault);
        client.or_else(|| cause.downcast_ref::<Refusal>().map(|refusal| refusal.fault))
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    // Only where it is the error itself: a pipe that breaks somewhere inside is an error like any other.
    error.downcast_ref::<std::io::Error>().is_some_and(broken)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn errors_are_one_line_and_say_whose_turn_it_is() {
        let refusal = Refusal::new(Fault::NotFound, "there is no build 7");
        let error =
            anyhow::Error::from(ClientError::from(refusal)).context("cannot show the build");
        assert_eq!(
            one_line(&error),
            "cannot show the build: there is no build 7 (the request names what is not there)"
        );
        assert_eq!(exit_of(&error), Exit::Error);
        let busy = ClientError::from(Refusal::new(Fault::Busy, "not reached"));
        assert_eq!(exit_of(&anyhow::Error::from(busy)), Exit::Unavailable);
        let usage: anyhow::Result<()> = Err(usage("no"));
        assert_eq!(exit_of(&usage.context("more").unwrap_err()), Exit::Usage);
        assert_eq!(
            one_line(&anyhow::anyhow!("a\nb").context("a\nb")),
            "a b: a b"
        );
    }
}
