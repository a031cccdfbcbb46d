//! Images of the store, read and checked.

use std::fs;
use std::io;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{ImageStore, digest_file, names};
use crate::error::{ImageError, at};
use crate::image::{Image, ImageId, ImageName};
use crate::manifest::{FORMAT, Manifest};

/// An image that is not what it was.
#[derive(Debug)]
#[non_exhaustive]
pub struct Damage {
    /// Which one.
    pub id: ImageId,
    /// What is wrong with it.
    pub error: ImageError,
}

/// The image, with its manifest as it was written and files of the right sizes.
pub(super) fn open(store: &ImageStore, id: ImageId) -> Result<Image, ImageError> {
    let directory = store.path("images").join(id.to_string());
    let path = directory.join("manifest.json");
    let damaged = |what: String| ImageError::Damaged {
        id: id.to_string(),
        what,
    };
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(match directory.exists() {
                true => damaged("it has no manifest".to_owned()),
                false => ImageError::NoImage(id.to_string()),
            });
        }
        Err(error) => return Err(at("read", &path)(error)),
    };
    if ImageId::new(Sha256::digest(&text).into()) != id {
        return Err(damaged("its manifest is another".to_owned()));
    }
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| damaged(format!("its manifest is none: {error}")))?;
    if manifest.format > FORMAT {
        return Err(damaged(format!(
            "its manifest has format {}, which is of a later Grange",
            manifest.format
        )));
    }
    for file in &manifest.files {
        let name = file.role.file_name(manifest.contents);
        match fs::symlink_metadata(directory.join(name)) {
            Ok(found) if found.is_file() && found.len() == file.size => {}
            Ok(found) => {
                return Err(damaged(format!(
                    "{name} has {} bytes in place of {}",
                    found.len(),
                    file.size
                )));
            }
            Err(error) => return Err(damaged(format!("{name}: {error}"))),
        }
    }
    let metadata = fs::metadata(&path).map_err(at("look at", &path))?;
    let made = metadata.modified().map_err(at("look at", &path))?;
    Ok(Image {
        id,
        directory,
        manifest,
        made,
    })
}

/// Reads all files.
pub(super) fn verify(image: &Image) -> Result<(), ImageError> {
    for file in &image.manifest.files {
        let name = file.role.file_name(image.manifest.contents);
        let (_, sha256) = digest_file(&image.directory.join(name))?;
        if HEXLOWER.encode(&sha256) != file.sha256 {
            return Err(ImageError::Damaged {
                id: image.id.to_string(),
                what: format!("the bytes of {name} are others"),
            });
        }
    }
    Ok(())
}

/// What is called like an image.
pub(super) fn ids(store: &ImageStore) -> Result<Vec<ImageId>, ImageError> {
    let directory = store.path("images");
    let mut ids = Vec::new();
    for entry in fs::read_dir(&directory).map_err(at("read", &directory))? {
        let entry = entry.map_err(at("read", &directory))?;
        let name = entry.file_name();
        ids.extend(name.to_str().and_then(|it| it.parse::<ImageId>().ok()));
    }
    ids.sort_unstable();
    Ok(ids)
}

pub(super) fn list(store: &ImageStore) -> Result<Vec<(Image, Vec<ImageName>)>, ImageError> {
    let names = names::all(store)?;
    let opened = ids(store)?
        .into_iter()
        .filter_map(|id| open(store, id).ok());
    let named = |image: Image| {
        let own = names.iter().filter(|(_, id)| *id == image.id);
        let own = own.map(|(name, _)| name.clone()).collect();
        (image, own)
    };
    let mut list: Vec<_> = opened.map(named).collect();
    list.sort_by_key(|(image, _)| std::cmp::Reverse(image.made));
    Ok(list)
}

pub(super) fn damaged(store: &ImageStore) -> Result<Vec<Damage>, ImageError> {
    let errors = ids(store)?
        .into_iter()
        .filter_map(|id| Some((id, open(store, id).err()?)));
    Ok(errors.map(|(id, error)| Damage { id, error }).collect())
}
