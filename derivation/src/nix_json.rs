//! The JSON of `nix show-derivation`, as of Nix 2.8.

use crate::store_path::printable;
use crate::{Derivation, StorePath};
use serde_json::{Map, Value, json};

/// Why a derivation has no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NixJsonError {
    /// Derivations are bytes, JSON is text: what is not UTF-8 is refused rather than changed.
    #[error("`{derivation}` has {what} that is not UTF-8: `{bytes}`")]
    NotText {
        /// The derivation.
        derivation: StorePath,
        /// Which part of it.
        what: &'static str,
        /// The bytes, printable.
        bytes: String,
    },
}

/// One JSON object with a member for each derivation, under its full path: what Nix 2.8 prints for
/// `nix show-derivation DRV...`. Its parts are `outputs` (`path`, and for fixed outputs `hashAlgo` and `hash`),
/// `inputSrcs`, `inputDrvs`, `system`, `builder`, `args` and `env`.
///
/// # Errors
/// If anything in a derivation is not UTF-8. Nix would print invalid JSON there; nothing is replaced here.
pub fn nix_json<'a>(
    derivations: impl IntoIterator<Item = (&'a StorePath, &'a Derivation)>,
) -> Result<Value, NixJsonError> {
    let members = derivations
        .into_iter()
        .map(|(path, derivation)| Ok((path.to_string(), member(path, derivation)?)));
    members.collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

fn member(path: &StorePath, derivation: &Derivation) -> Result<Value, NixJsonError> {
    let text = |what: &'static str, bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(NixJsonError::NotText {
            derivation: path.clone(),
            what,
            bytes: printable(bytes),
        }),
    };
    let outputs: Map<_, _> = derivation
        .outputs
        .iter()
        .map(|(name, output)| {
            let mut member = json!({ "path": output.path.to_string() });
            if let Some(fixed) = &output.fixed {
                member["hashAlgo"] = fixed.method().into();
                member["hash"] = fixed.hash.to_base16().into();
            }
            (name.to_string(), member)
        })
        .collect();
    let inputs: Map<_, _> = derivation
        .input_derivations
        .iter()
        .map(|(path, outputs)| {
            (
                path.to_string(),
                outputs.iter().map(ToString::to_string).collect(),
            )
        })
        .collect();
    let env = derivation
        .env
        .iter()
        .map(|(name, value)| {
            Ok((
                text("a variable name", name)?,
                text("a variable", value)?.into(),
            ))
        })
        .collect::<Result<Map<_, _>, _>>()?;
    Ok(json!({
        "outputs": outputs,
        "inputSrcs": derivation.input_sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "inputDrvs": inputs,
        "system": text("a system", &derivation.system)?,
        "builder": text("a builder", &derivation.builder)?,
        "args": derivation.args.iter().map(|arg| text("an argument", arg)).collect::<Result<Vec<_>, _>>()?,
        "env": env,
    }))
}
