//! Which builtin, and its limits.

use std::time::Duration;

use grange_derivation::Derivation;
use grange_interfaces::{BuildError, Log, Stop};
use grange_model::{FailureKind, SetupProblem};

use super::{download, git};
use crate::attempt::{Attempt, Place};
use crate::output::failed;

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    Download,
    GitDownload,
    FetchUrl,
}

impl Builtin {
    /// The builtin that a derivation names, if it names one.
    pub(crate) fn of(derivation: &Derivation) -> Option<Result<Self, BuildError>> {
        let name = derivation.builder.strip_prefix(b"builtin:")?;
        let builtin = match name {
            b"download" => Self::Download,
            b"git-download" => Self::GitDownload,
            b"fetchurl" => Self::FetchUrl,
            other => {
                let message = format!(
                    "there is no builtin builder `{}` here",
                    other.escape_ascii()
                );
                return Some(Err(BuildError::Setup {
                    problem: SetupProblem::Unsupported,
                    message,
                }));
            }
        };
        if derivation.fixed_output().is_none() {
            let message = format!("builtin:{} makes fixed outputs only", name.escape_ascii());
            return Some(Err(failed(FailureKind::Other, message)));
        }
        Some(Ok(builtin))
    }

    /// Makes the output; returns whose it is, if not ours.
    ///
    /// Silence is not minded here: downloads have their own patience.
    pub(crate) async fn run(
        self,
        attempt: &Attempt<'_>,
        place: &Place,
        log: &mut Log,
        stop: &Stop,
    ) -> Result<Option<u32>, BuildError> {
        let limit = attempt.job.limits.timeout_ms;
        tokio::select! {
            biased;
            () = stop.stopped() => Err(BuildError::Stopped),
            made = self.make(attempt, place, log, stop) => made,
            () = tokio::time::sleep(Duration::from_millis(limit)) => {
                Err(failed(FailureKind::Timeout, format!("it took more than {limit} ms")))
            }
        }
    }

    async fn make(
        self,
        attempt: &Attempt<'_>,
        place: &Place,
        log: &mut Log,
        stop: &Stop,
    ) -> Result<Option<u32>, BuildError> {
        let derivation = &attempt.job.derivation;
        let output = derivation
            .outputs
            .values()
            .next()
            .expect("a fixed-output derivation has an output");
        let name = output.path.base_name();
        let file = place.scratch.outputs().join(&name);
        match self {
            Self::Download => download::guix(attempt, &file, log).await.map(|()| None),
            Self::FetchUrl => download::nix(attempt, &file, log).await.map(|()| None),
            Self::GitDownload => {
                git::checkout(attempt, place, &name, log, stop).await?;
                Ok(place.user.is_other().then_some(place.user.outside().uid))
            }
        }
    }
}
