//! What nobody uses any more goes.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{ImageStore, Scratch, lock, names, read, scratch};
use crate::error::{ImageError, at};
use crate::image::ImageId;

/// What has been removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Images.
    pub images: Vec<ImageId>,
    /// Packages and disks of tools.
    pub files: usize,
    /// Bytes of all of them.
    pub bytes: u64,
}

pub(super) fn prune(
    store: &ImageStore,
    keep: &HashSet<ImageId>,
    older_than: Duration,
) -> Result<Pruned, ImageError> {
    // Dates of files are the system's, so is what they are compared with.
    let before = SystemTime::now().checked_sub(older_than);
    let mut pruned = Pruned::default();
    let Some(before) = before else {
        return Ok(pruned);
    };
    let publishing = lock(store, "publish")?;
    let scratch = Scratch::new(store)?;
    let named: HashSet<_> = names::all(store)?.into_iter().map(|(_, id)| id).collect();
    for id in read::ids(store)? {
        let path = store.path("images").join(id.to_string());
        if keep.contains(&id) || named.contains(&id) || !is_older(&path, before)? {
            continue;
        }
        pruned.bytes += files_of(&path)?;
        // In one step, so that there is never half an image.
        let aside = scratch.path().join(id.to_string());
        fs::rename(&path, &aside).map_err(at("move away", &path))?;
        fs::remove_dir_all(&aside).map_err(at("remove", &aside))?;
        pruned.images.push(id);
    }
    remove_dangling(&store.path("keys"))?;
    drop(publishing);
    remove_older(&store.path("tools"), before, &mut pruned)?;
    // Not under a build that reads them.
    if let Some(_building) = scratch::try_lock(store, "build")? {
        remove_older(&store.path("packages"), before, &mut pruned)?;
    }
    Ok(pruned)
}

fn is_older(path: &Path, before: SystemTime) -> Result<bool, ImageError> {
    let modified = fs::symlink_metadata(path).and_then(|it| it.modified());
    Ok(modified.map_err(at("look at", path))? <= before)
}

fn files_of(directory: &Path) -> Result<u64, ImageError> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).map_err(at("read", directory))? {
        let metadata = entry.and_then(|entry| entry.metadata());
        bytes += metadata.map_err(at("read", directory))?.len();
    }
    Ok(bytes)
}

fn remove_dangling(directory: &Path) -> Result<(), ImageError> {
    for entry in fs::read_dir(directory).map_err(at("read", directory))? {
        let path = entry.map_err(at("read", directory))?.path();
        if !path.exists() {
            fs::remove_file(&path).map_err(at("remove", &path))?;
        }
    }
    Ok(())
}

fn remove_older(
    directory: &Path,
    before: SystemTime,
    pruned: &mut Pruned,
) -> Result<(), ImageError> {
    for entry in fs::read_dir(directory).map_err(at("read", directory))? {
        let path = entry.map_err(at("read", directory))?.path();
        let metadata = fs::symlink_metadata(&path).map_err(at("look at", &path))?;
        if metadata.is_file() && is_older(&path, before)? {
            fs::remove_file(&path).map_err(at("remove", &path))?;
            pruned.files += 1;
            pruned.bytes += metadata.len();
        }
    }
    Ok(())
}
