//! Whether what the coordinator gives to build is what it says, and can be built here.

use std::sync::Arc;

use grange_derivation::{Derivation, StoreDir, StorePath};
use grange_interfaces::message::JobAnswer;

use super::{Problem, StepError};

/// A derivation whose path follows from its text.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) path: StorePath,
    pub(crate) derivation: Arc<Derivation>,
    pub(crate) text: Arc<[u8]>,
}

impl Verified {
    /// Reads the answer to the question for the derivation `asked`.
    pub(crate) fn read(
        store: &StoreDir,
        asked: &str,
        answer: &JobAnswer,
    ) -> Result<Self, StepError> {
        let other = |message: String| StepError::setup(Problem::Other, message);
        let unsupported = |message: String| StepError::setup(Problem::Unsupported, message);
        if answer.derivation != asked {
            let given = answer.derivation.escape_debug();
            return Err(other(format!(
                "the coordinator assigned {asked} and gave {given}"
            )));
        }
        let path =
            StorePath::parse(store, asked).map_err(|error| unsupported(error.to_string()))?;
        let text = data_encoding::BASE64
            .decode(answer.text.as_bytes())
            .map_err(|error| other(format!("the text of {path} is not base 64: {error}")))?;
        Self::of_text(path, &text)
    }

    /// Reads the text that came for a path.
    pub(crate) fn of_text(path: StorePath, text: &[u8]) -> Result<Self, StepError> {
        let other = |message: String| StepError::setup(Problem::Other, message);
        let unsupported = |message: String| StepError::setup(Problem::Unsupported, message);
        let name = path
            .derivation_name()
            .ok_or_else(|| other(format!("{path} is no derivation")))?;
        let derivation = Derivation::parse(path.store(), name, text)
            .map_err(|error| unsupported(format!("{path} cannot be read: {error}")))?;
        match derivation.path_of_text(text) {
            Ok(computed) if computed == path => {}
            Ok(computed) => {
                return Err(other(format!(
                    "the text that came for {path} is that of {computed}"
                )));
            }
            Err(error) => return Err(other(format!("{path} cannot have a path: {error}"))),
        }
        Ok(Self {
            path,
            derivation: Arc::new(derivation),
            text: text.into(),
        })
    }

    /// Whether it is for one of these systems.
    pub(crate) fn check_system(&self, systems: &[String]) -> Result<(), StepError> {
        let system = &self.derivation.system;
        if systems.iter().any(|own| own.as_bytes() == system) {
            return Ok(());
        }
        let message = format!(
            "{} is for `{}`, and this agent builds for {}",
            self.path,
            system.escape_ascii(),
            systems.join(", ")
        );
        Err(StepError::setup(Problem::Unsupported, message))
    }
}
