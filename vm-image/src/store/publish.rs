//! How an image becomes one of the store.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{ImageStore, Scratch, lock, names, read};
use crate::error::{ImageError, at};
use crate::image::{Image, ImageId, ImageName};
use crate::manifest::{ImageFile, Manifest, Role};

/// An image that is being made.
#[derive(Debug)]
pub(crate) struct Draft {
    scratch: Scratch,
    directory: PathBuf,
}

impl Draft {
    pub(crate) fn new(store: &ImageStore) -> Result<Self, ImageError> {
        let scratch = Scratch::new(store)?;
        let directory = scratch.path().join("image");
        fs::create_dir(&directory).map_err(at("make the directory", &directory))?;
        Ok(Self { scratch, directory })
    }

    /// Where files that will not be part of it can be.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where its file of this name has to be.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Hashes the files, writes the manifest, and gives all of it to the store, under a name, and under the key of
    /// what it was made of.
    pub(crate) fn publish(
        self,
        store: &ImageStore,
        mut manifest: Manifest,
        name: &ImageName,
        key: Option<&str>,
    ) -> Result<Image, ImageError> {
        for role in [Role::Kernel, Role::PackedKernel, Role::Initrd, Role::Disk] {
            let path = self.file(role.file_name(manifest.contents));
            if !path.exists() {
                continue;
            }
            let (size, sha256) = digest_file(&path)?;
            sync(&path)?;
            let sha256 = HEXLOWER.encode(&sha256);
            manifest.files.push(ImageFile { role, size, sha256 });
        }
        let mut text = serde_json::to_vec_pretty(&manifest)
            .expect("it has no maps, and its strings are UTF-8");
        text.push(b'\n');
        let id = ImageId::new(Sha256::digest(&text).into());
        let path = self.file("manifest.json");
        fs::write(&path, &text).map_err(at("write", &path))?;
        sync(&path)?;
        sync(&self.directory)?;

        let _lock = lock(store, "publish")?;
        let images = store.path("images");
        let target = images.join(id.to_string());
        if read::open(store, id).is_err() {
            // What is damaged makes room.
            if target.exists() {
                let aside = self.scratch.path().join("damaged");
                fs::rename(&target, &aside).map_err(at("move away", &target))?;
            }
            fs::rename(&self.directory, &target).map_err(at("name", &target))?;
            sync(&images)?;
        }
        if let Some(key) = key {
            names::link(store, "keys", key, id)?;
        }
        names::set(store, name, id)?;
        read::open(store, id)
    }
}

/// The size and SHA-256 of a file.
pub(crate) fn digest_file(path: &Path) -> Result<(u64, [u8; 32]), ImageError> {
    let mut file = File::open(path).map_err(at("read", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, hasher.finalize().into())),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(at("read", path)(error)),
        }
    }
}

/// Has a file or directory written to the disk.
pub(super) fn sync(path: &Path) -> Result<(), ImageError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(at("write to the disk", path))
}
