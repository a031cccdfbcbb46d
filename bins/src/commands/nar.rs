//! `grange nar`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use grange_derivation::nar::{self, Entry, Kind};
use serde_json::json;

use crate::cli::NarCommand;
use crate::failure::{self, Exit};
use crate::output::Output;

pub(super) fn run(command: NarCommand, output: Output) -> anyhow::Result<Exit> {
    match command {
        NarCommand::Hash { path } => hash(&path, output)?,
        NarCommand::Pack { path, to } => pack(&path, to.as_deref(), output)?,
        NarCommand::Unpack { path, to } => unpack(&path, to, output)?,
        NarCommand::List { path } => list(&path, output)?,
    }
    Ok(Exit::Done)
}

fn hash(path: &Path, output: Output) -> anyhow::Result<()> {
    let digested = nar::digest_path(path)?;
    let hash = digested.hash();
    let value = json!({
        "path": path.to_string_lossy(),
        "sha256": hash.to_base16(),
        "sha256-base32": hash.to_base32(),
        "size": digested.size,
    });
    output.value(&value, |_| hash.to_base32())
}

fn pack(path: &Path, to: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let Some(to) = to else {
        if output.is_json() {
            return Err(failure::usage(
                "standard output takes either the archive or JSON: write --to FILE",
            ));
        }
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            return Err(failure::usage(
                "an archive is nothing for a terminal: write > FILE, or --to FILE",
            ));
        }
        nar::pack(path, &mut out).map_err(unwrap_pipe)?;
        out.flush()?;
        return Ok(());
    };
    let writing = || format!("cannot write {}", to.display());
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .open(to)
        .with_context(writing)?;
    let packed = nar::pack(path, &mut file);
    if packed.is_err() {
        // Half an archive is of no use; that it cannot be removed either is not what went wrong.
        let _ = fs::remove_file(to);
    }
    let value =
        json!({ "path": path.to_string_lossy(), "to": to.to_string_lossy(), "size": packed? });
    output.value(&value, |_| String::new())
}

/// A pipe that nobody reads is not the archive's fault.
fn unwrap_pipe(error: nar::FsError) -> anyhow::Error {
    match error {
        nar::FsError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => error.into(),
        error => error.into(),
    }
}

fn unpack(path: &Path, to: Option<PathBuf>, output: Output) -> anyhow::Result<()> {
    let to = match to {
        Some(to) => to,
        None => match path.extension() {
            Some(extension) if extension == "nar" => {
                PathBuf::from(path.file_stem().unwrap_or_default())
            }
            _ => return Err(failure::usage("say where to unpack it: --to PATH")),
        },
    };
    anyhow::ensure!(
        fs::symlink_metadata(&to).is_err(),
        "there is something at {} already",
        to.display()
    );
    let unpacked = nar::unpack(&mut open(path)?, &to);
    if unpacked.is_err() && to.is_dir() {
        let _ = fs::remove_dir_all(&to);
    } else if unpacked.is_err() {
        let _ = fs::remove_file(&to);
    }
    let size = unpacked.with_context(|| format!("cannot unpack {}", path.display()))?;
    let value = json!({ "path": path.to_string_lossy(), "to": to.to_string_lossy(), "size": size });
    output.value(&value, |_| String::new())
}

fn list(path: &Path, output: Output) -> anyhow::Result<()> {
    let entries =
        nar::list(&mut open(path)?).with_context(|| format!("cannot list {}", path.display()))?;
    for entry in &entries {
        output.value(&entry_json(entry), |_| entry_text(entry))?;
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path.as_os_str() == OsStr::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(File::open(path).with_context(|| {
        format!("cannot open {}", path.display())
    })?))
}

/// Names are bytes, JSON is text: what is not UTF-8 is shown with replacement characters.
fn entry_json(entry: &Entry) -> serde_json::Value {
    let path = String::from_utf8_lossy(&entry.path);
    match &entry.kind {
        Kind::Directory => json!({ "path": path, "type": "directory" }),
        Kind::Regular {
            executable,
            size,
            offset,
        } => {
            json!({ "path": path, "type": "regular", "executable": executable, "size": size, "offset": offset })
        }
        Kind::Symlink { target } => {
            json!({ "path": path, "type": "symlink", "target": String::from_utf8_lossy(target) })
        }
    }
}

fn entry_text(entry: &Entry) -> String {
    // Nothing in a name may move the cursor of a terminal.
    let path = format!("./{}", entry.path.escape_ascii());
    match &entry.kind {
        Kind::Directory => format!("dr-xr-xr-x {:>12} {path}", 0),
        Kind::Regular {
            executable: true,
            size,
            ..
        } => format!("-r-xr-xr-x {size:>12} {path}"),
        Kind::Regular { size, .. } => format!("-r--r--r-- {size:>12} {path}"),
        Kind::Symlink { target } => {
            format!("lrwxrwxrwx {:>12} {path} -> {}", 0, target.escape_ascii())
        }
    }
}
