//! Links to images.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::publish::sync;
use super::{ImageStore, Scratch, read};
use crate::error::{ImageError, at};
use crate::image::{Image, ImageId, ImageName};

/// Fewer digits of an id are no id.
const FEWEST_DIGITS: usize = 4;

pub(super) fn resolve(store: &ImageStore, name_or_id: &str) -> Result<Image, ImageError> {
    let none = || ImageError::NoImage(name_or_id.to_owned());
    if let Ok(name) = name_or_id.parse::<ImageName>()
        && let Some(id) = target(store, "names", name.as_str())?
    {
        return read::open(store, id);
    }
    let is_digit = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    if name_or_id.len() < FEWEST_DIGITS || !name_or_id.bytes().all(is_digit) {
        return Err(none());
    }
    let ids = read::ids(store)?;
    let mut found = ids
        .into_iter()
        .filter(|id| id.to_string().starts_with(name_or_id));
    let first = found.next().ok_or_else(none)?;
    if found.next().is_some() {
        return Err(ImageError::Ambiguous(name_or_id.to_owned()));
    }
    read::open(store, first)
}

/// Whoever calls holds the lock `publish`.
pub(super) fn set(store: &ImageStore, name: &ImageName, id: ImageId) -> Result<(), ImageError> {
    read::open(store, id)?;
    link(store, "names", name.as_str(), id)
}

pub(super) fn remove(store: &ImageStore, name: &ImageName) -> Result<bool, ImageError> {
    let path = store.path("names").join(name.as_str());
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at("remove", &path)(error)),
    }
}

/// Makes `directory/name` lead to an image, at once.
pub(super) fn link(
    store: &ImageStore,
    directory: &str,
    name: &str,
    id: ImageId,
) -> Result<(), ImageError> {
    let scratch = Scratch::new(store)?;
    let new = scratch.path().join("link");
    symlink(Path::new("../images").join(id.to_string()), &new).map_err(at("make", &new))?;
    let directory = store.path(directory);
    let path = directory.join(name);
    fs::rename(&new, &path).map_err(at("name", &path))?;
    sync(&directory)
}

/// The image that came of what has this key, if it is there and whole.
pub(crate) fn find_key(store: &ImageStore, key: &str) -> Result<Option<Image>, ImageError> {
    let id = target(store, "keys", key)?;
    Ok(id.and_then(|id| read::open(store, id).ok()))
}

/// Where `directory/name` leads.
fn target(store: &ImageStore, directory: &str, name: &str) -> Result<Option<ImageId>, ImageError> {
    let path = store.path(directory).join(name);
    match fs::read_link(&path) {
        Ok(to) => Ok(to
            .file_name()
            .and_then(|it| it.to_str())
            .and_then(|it| it.parse().ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read the link", &path)(error)),
    }
}

/// All names, and where they lead.
pub(super) fn all(store: &ImageStore) -> Result<Vec<(ImageName, ImageId)>, ImageError> {
    let directory = store.path("names");
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(at("read", &directory))? {
        let entry = entry.map_err(at("read", &directory))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|it| it.parse::<ImageName>().ok()) else {
            continue;
        };
        if let Some(id) = target(store, "names", name.as_str())? {
            names.push((name, id));
        }
    }
    names.sort_unstable();
    Ok(names)
}
