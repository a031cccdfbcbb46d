//! Small disks of programs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::publish::sync;
use super::{ImageStore, Scratch};
use crate::error::{ImageError, at};
use crate::place::Place;
use crate::spool::Spool;
use crate::squashfs;
use crate::tree::{Attributes, Node, Tree};

/// Bytes of all programs of a disk.
const LIMIT: u64 = 4 << 30;

/// The date of all that is on it: 2006-01-01, as in images.
const DATE: u64 = 1_136_073_600;

/// A program for a disk of tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolFile {
    /// Where it is to be on the disk, absolute, such as `/bin/grange-agent`.
    pub path: String,
    /// Where it is now.
    pub source: PathBuf,
    /// Permissions, such as 0o755. It belongs to root.
    pub mode: u32,
}

pub(super) fn tools_disk(store: &ImageStore, files: &[ToolFile]) -> Result<PathBuf, ImageError> {
    let scratch = Scratch::new(store)?;
    let spooled = scratch.path().join("spool");
    let mut spool = Spool::new(&spooled, LIMIT).map_err(at("make", &spooled))?;
    let mut tree = Tree::default();
    for file in files {
        let wrong = |what| ImageError::Path {
            path: file.path.clone(),
            what,
        };
        let rest = file
            .path
            .strip_prefix('/')
            .ok_or_else(|| wrong("it is not absolute"))?;
        let place = Place::plain(rest.as_bytes()).map_err(wrong)?;
        if place == Place::root() {
            return Err(wrong("it is the root"));
        }
        if tree.get(&place).is_some() {
            return Err(wrong("it is there twice"));
        }
        let mut source = File::open(&file.source).map_err(at("read", &file.source))?;
        let content = spool.add(&mut source).map_err(at("read", &file.source))?;
        let attributes = Attributes::root(file.mode & 0o7777);
        tree.put(place, Node::File(content), attributes);
    }
    tree.complete().map_err(|place| ImageError::Path {
        path: place.to_string(),
        what: "it is in what is no directory",
    })?;
    let target = store
        .path("tools")
        .join(format!("{}.squashfs", key(&tree, &spool, &spooled)?));
    if target.exists() {
        // So that it is not taken for unused.
        let file = File::options().write(true).open(&target);
        file.and_then(|file| file.set_modified(SystemTime::now()))
            .map_err(at("touch", &target))?;
        return Ok(target);
    }
    let new = scratch.path().join("disk");
    squashfs::write(&tree, &spool, DATE, &new, scratch.path())?;
    sync(&new)?;
    fs::rename(&new, &target).map_err(at("name", &target))?;
    sync(&store.path("tools"))?;
    Ok(target)
}

/// What the disk is known by: names, modes and contents.
fn key(tree: &Tree, spool: &Spool, spooled: &Path) -> Result<String, ImageError> {
    let mut hasher = Sha256::new();
    for (place, entry) in tree.iter() {
        hasher.update((place.bytes().len() as u64).to_le_bytes());
        hasher.update(place.bytes());
        hasher.update(entry.attributes.mode.to_le_bytes());
        if let Node::File(content) = entry.node {
            hasher.update(spool.digest(content).map_err(at("read", spooled))?);
        }
    }
    Ok(HEXLOWER.encode(&hasher.finalize()))
}
