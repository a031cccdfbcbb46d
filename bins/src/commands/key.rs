//! `grange key`.

use std::path::Path;

use serde_json::json;

use crate::cli::KeyCommand;
use crate::failure::Exit;
use crate::keys::{SecretKey, finish_rotation, make_next, next_file, public_file};
use crate::output::Output;

pub(super) fn run(command: KeyCommand, output: Output) -> anyhow::Result<Exit> {
    match command {
        KeyCommand::Generate { file, nix } => {
            let key = match nix {
                Some(name) => SecretKey::generate_nix(&name)?,
                None => SecretKey::generate_guix(),
            };
            write(&key, &file, output)?;
        }
        KeyCommand::Import { from, to } => write(&SecretKey::read(&from)?, &to, output)?,
        KeyCommand::Rotate { file, finish: true } => {
            report(&finish_rotation(&file)?, &file, output)?;
        }
        KeyCommand::Rotate {
            file,
            finish: false,
        } => report(&make_next(&file)?, &next_file(&file), output)?,
        KeyCommand::Show { file } => {
            let key = SecretKey::read(&file)?;
            let value = json!({ "kind": key.kind(), "public": key.public() });
            output.value(&value, |_| key.public().trim_end().to_owned())?;
        }
    }
    Ok(Exit::Done)
}

fn write(key: &SecretKey, file: &Path, output: Output) -> anyhow::Result<()> {
    key.write(file)?;
    report(key, file, output)
}

/// Says which key lies where now.
fn report(key: &SecretKey, file: &Path, output: Output) -> anyhow::Result<()> {
    let public = public_file(file);
    let value = json!({
        "kind": key.kind(),
        "secret-file": file.to_string_lossy(),
        "public-file": public.to_string_lossy(),
        "public": key.public(),
    });
    output.value(&value, |_| public.display().to_string())
}
