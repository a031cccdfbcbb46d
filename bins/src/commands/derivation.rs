//! `grange derivation`.

use std::path::Path;

use anyhow::Context as _;
use grange_derivation::{Derivation, StorePath, nix_json};

use super::resolve::store_of;
use crate::cli::DerivationCommand;
use crate::failure::Exit;
use crate::output::Output;

pub(super) fn run(command: DerivationCommand, output: Output) -> anyhow::Result<Exit> {
    let DerivationCommand::Show(args) = command;
    let mut derivations = Vec::new();
    for file in &args.files {
        derivations.push(read(file).with_context(|| format!("cannot show {}", file.display()))?);
    }
    let value = nix_json(
        derivations
            .iter()
            .map(|(path, derivation)| (path, derivation)),
    )?;
    let pretty = serde_json::to_string_pretty(&value)?;
    output.value(&value, |_| pretty)?;
    Ok(Exit::Done)
}

/// A derivation, read strictly; its path must be that of its text.
fn read(file: &Path) -> anyhow::Result<(StorePath, Derivation)> {
    let text = std::fs::read(file)?;
    let base = file.file_name().unwrap_or_default();
    let store = store_of(&text).map_or_else(|| super::resolve::store_around(file), Ok)?;
    let path = StorePath::from_base_name(&store, base.as_encoded_bytes())?;
    let name = path
        .derivation_name()
        .context("the name does not end in `.drv`")?;
    let derivation = Derivation::parse(&store, name, &text)?;
    let computed = derivation.path_of_text(&text)?;
    anyhow::ensure!(
        computed == path,
        "the text belongs at {computed}: the file was renamed or changed"
    );
    Ok((path, derivation))
}
