//! An image that is there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use crate::error::ImageError;
use crate::manifest::{Contents, Manifest, Role};

/// What an image is known by: the SHA-256 of its manifest, and so of all that is in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId([u8; 32]);

impl ImageId {
    pub(crate) const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl FromStr for ImageId {
    type Err = ImageError;

    /// All 64 digits; [`ImageStore::resolve`](crate::ImageStore::resolve) takes fewer.
    fn from_str(text: &str) -> Result<Self, ImageError> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
        let digest = bytes.and_then(|bytes| bytes.try_into().ok());
        digest
            .map(Self)
            .ok_or_else(|| ImageError::NoImage(text.to_owned()))
    }
}

/// A name that people have for an image.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName(String);

impl ImageName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageName {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, ImageError> {
        let good = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"._-".contains(&it);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|it| it.is_ascii_alphanumeric());
        // An id is no name: it would hide the image that has it.
        let is_id = text.parse::<ImageId>().is_ok();
        if begins && text.len() <= 64 && text.bytes().all(good) && !is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(ImageError::BadName(text.to_owned()))
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for ImageName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.0)
    }
}

/// An image that is there.
#[derive(Clone, Debug)]
pub struct Image {
    pub(crate) id: ImageId,
    pub(crate) directory: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) made: SystemTime,
}

impl Image {
    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> ImageId {
        self.id
    }

    /// What is in it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// When it came into this store.
    #[must_use]
    pub fn made(&self) -> SystemTime {
        self.made
    }

    /// Bytes of all its files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.size).sum()
    }

    /// The directory that its files lie in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What QEMU's `-kernel` takes, if it does not boot from its own disk: an uncompressed `vmlinux` where one could
    /// be had ([`Kernel::uncompressed`](crate::Kernel)).
    #[must_use]
    pub fn kernel(&self) -> Option<PathBuf> {
        self.file(Role::Kernel)
    }

    /// The kernel as its package has it, for whatever takes no `vmlinux`, such as a boot from the network.
    #[must_use]
    pub fn packed_kernel(&self) -> Option<PathBuf> {
        self.file(Role::PackedKernel).or_else(|| self.kernel())
    }

    /// What QEMU's `-initrd` takes, if it has one.
    #[must_use]
    pub fn initrd(&self) -> Option<PathBuf> {
        self.file(Role::Initrd)
    }

    /// The file with the root: a squashfs, or the disk of others.
    #[must_use]
    pub fn disk(&self) -> Option<PathBuf> {
        self.file(Role::Disk)
    }

    /// What sort of image it is.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.manifest.contents
    }

    fn file(&self, role: Role) -> Option<PathBuf> {
        let has = self.manifest.files.iter().any(|file| file.role == role);
        has.then(|| self.directory.join(role.file_name(self.manifest.contents)))
    }
}
