//! What lies where.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::{DirBuilder, File};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use grange_fail_points::{Point, reach};
use grange_interfaces::{ArtifactError, Source, UploadId};
use grange_model::BlobId;

use crate::error::at;

/// The directory's parts.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes what is not there, and makes the names durable.
    pub(crate) fn make(root: &Path) -> Result<Self, ArtifactError> {
        let layout = Self {
            root: root.to_owned(),
        };
        make(root)?;
        make(&layout.uploads())?;
        make(&layout.blobs())?;
        for first in 0..=u8::MAX {
            make(&layout.fan(first))?;
        }
        reach(Point::ArtifactsMade);
        for path in [root, &layout.blobs()] {
            sync(path)?;
        }
        match root
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            Some(parent) => sync(parent)?,
            None => sync(Path::new("."))?,
        }
        Ok(layout)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(crate) fn upload(&self, upload: &UploadId) -> PathBuf {
        self.uploads().join(upload.as_str())
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Where the blobs lie whose first byte this is.
    pub(crate) fn fan(&self, first: u8) -> PathBuf {
        let mut name = String::with_capacity(2);
        let _ = write!(name, "{first:02x}");
        self.blobs().join(name)
    }

    pub(crate) fn blob(&self, blob: BlobId) -> PathBuf {
        self.fan(blob.0[0]).join(blob.to_string())
    }

    pub(crate) fn source(&self, source: &Source) -> PathBuf {
        match source {
            Source::Blob(blob) => self.blob(*blob),
            Source::Upload(upload) => self.upload(upload),
        }
    }
}

/// The blob that a file in a fan directory is, if it is one.
pub(crate) fn blob_named(name: &OsStr) -> Option<BlobId> {
    let name = name.to_str()?;
    if name.len() != 64
        || !name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    let mut id = [0; 32];
    for (byte, digits) in id.iter_mut().zip(name.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(BlobId(id))
}

/// What to call something that is not there.
pub(crate) fn name_of(source: &Source) -> String {
    match source {
        Source::Blob(blob) => format!("blob {blob}"),
        Source::Upload(upload) => format!("upload {upload}"),
    }
}

/// Makes a directory's names durable.
pub(crate) fn sync(directory: &Path) -> Result<(), ArtifactError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(at("write the directory", directory))
}

fn make(directory: &Path) -> Result<(), ArtifactError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(at("make", directory)(
            Error::new(ErrorKind::NotADirectory, "it is no directory"),
        )),
        made => made.map_err(at("make", directory)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_blobs_are_blobs() {
        let blob = BlobId(std::array::from_fn(|index| {
            u8::try_from(index * 7).unwrap()
        }));
        let name = blob.to_string();
        assert_eq!(blob_named(OsStr::new(&name)), Some(blob));
        for other in [
            "",
            "3f",
            &name[1..],
            &name.to_uppercase(),
            &format!("{name}0"),
            &"+1".repeat(32),
        ] {
            assert_eq!(blob_named(OsStr::new(other)), None, "{other}");
        }
    }
}
