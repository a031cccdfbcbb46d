//! What is in an image, as it is written down beside it.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;

/// The format of `manifest.json`; a store refuses images of a later one.
pub(crate) const FORMAT: u32 = 1;

/// What is in an image. Its JSON form is `manifest.json`, whose SHA-256 is the image's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// The format of the manifest itself.
    pub format: u32,
    /// What sort of image it is.
    pub contents: Contents,
    /// The machine it is for.
    #[serde(with = "architecture_name")]
    pub architecture: Architecture,
    /// The kernel, if Grange took it out of a package.
    pub kernel: Option<Kernel>,
    /// Arguments that the kernel is to get besides those of the machine; of imported images alone.
    pub arguments: String,
    /// What it was made of, by name; empty if it was imported.
    pub packages: Vec<Package>,
    /// Its files.
    pub files: Vec<ImageFile>,
}

/// What sort of image it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Contents {
    /// A read-only squashfs and an initramfs of Grange's that makes a writable root of it.
    Root,
    /// A disk of others, byte for byte.
    Raw,
    /// A disk of others in QEMU's format.
    Qcow2,
}

/// A kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Kernel {
    /// Its release, such as `6.1.0-48-amd64`.
    pub release: String,
    /// Whether [`Image::kernel`](crate::Image::kernel) is uncompressed: QEMU enters it directly (PVH), which without
    /// KVM saves seconds.
    pub uncompressed: bool,
    /// Whether it hears that the machine is a copy of another, and then draws new random numbers (`CONFIG_VMGENID`).
    pub knows_copies: bool,
}

/// A package that an image was made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, in hexadecimal digits.
    pub sha256: String,
}

/// A file of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageFile {
    /// What it is.
    pub role: Role,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// What a file of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Role {
    /// The kernel to boot.
    Kernel,
    /// The same one as its package has it, if that is another file.
    PackedKernel,
    /// The initramfs.
    Initrd,
    /// The root, or the disk.
    Disk,
}

impl Role {
    /// Its name in the image's directory. It never comes from a manifest, which others may have written.
    pub(crate) fn file_name(self, contents: Contents) -> &'static str {
        match (self, contents) {
            (Self::Kernel, _) => "kernel",
            (Self::PackedKernel, _) => "vmlinuz",
            (Self::Initrd, _) => "initrd",
            (Self::Disk, Contents::Root) => "root.squashfs",
            (Self::Disk, Contents::Raw) => "disk.raw",
            (Self::Disk, Contents::Qcow2) => "disk.qcow2",
        }
    }
}

/// An architecture by Debian's name.
mod architecture_name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::architecture::Architecture;

    pub(super) fn serialize<S: Serializer>(
        it: &Architecture,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(it.as_str())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(
        deserializer: D,
    ) -> Result<Architecture, D::Error> {
        let name = String::deserialize(deserializer)?;
        Architecture::from_name(&name)
            .ok_or_else(|| D::Error::custom(format!("no architecture {name:?} is known")))
    }
}
