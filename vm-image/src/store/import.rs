//! Disks of others.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Draft, ImageStore};
use crate::architecture::Architecture;
use crate::disk;
use crate::error::{ImageError, at};
use crate::image::{Image, ImageName};
use crate::manifest::{Contents, FORMAT, Manifest};

/// The format of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskFormat {
    /// Byte for byte.
    Raw,
    /// QEMU's format, version 2 or 3.
    Qcow2,
}

/// What is known of a disk of others.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The name that it gets in the store.
    pub name: ImageName,
    /// The machine it is for. Default: amd64.
    pub architecture: Architecture,
    /// Its format. Default: what its first bytes say; a raw disk is recognised by a partition table or a file system.
    pub format: Option<DiskFormat>,
    /// The kernel to boot. Default: that of the disk, by the disk's own boot loader.
    pub kernel: Option<PathBuf>,
    /// The initramfs that the kernel needs.
    pub initrd: Option<PathBuf>,
    /// Arguments that the kernel needs besides those of the machine, such as `root=/dev/vda2`.
    pub arguments: String,
}

impl ImportOptions {
    /// A disk that boots by itself.
    #[must_use]
    pub fn new(name: ImageName) -> Self {
        Self {
            name,
            architecture: Architecture::Amd64,
            format: None,
            kernel: None,
            initrd: None,
            arguments: String::new(),
        }
    }
}

pub(super) fn import(
    store: &ImageStore,
    path: &Path,
    options: &ImportOptions,
) -> Result<Image, ImageError> {
    // Before gigabytes are copied; what counts is what is found in the copy.
    disk::examine(path, path, options.format)?;
    let mut draft_files = Vec::new();
    for (source, name) in [(&options.kernel, "kernel"), (&options.initrd, "initrd")] {
        if let Some(source) = source {
            draft_files.push((source.as_path(), name));
        }
    }
    if options.kernel.is_none() && (options.initrd.is_some() || !options.arguments.is_empty()) {
        return Err(ImageError::NotAnImage {
            path: path.to_owned(),
            what: "an initramfs or arguments for a kernel, but no kernel".to_owned(),
        });
    }
    let draft = Draft::new(store)?;
    let copied = draft.scratch().join("disk");
    copy(path, &copied)?;
    let format = disk::examine(&copied, path, options.format)?;
    let contents = match format {
        DiskFormat::Raw => Contents::Raw,
        DiskFormat::Qcow2 => Contents::Qcow2,
    };
    let role = crate::manifest::Role::Disk;
    let target = draft.file(role.file_name(contents));
    fs::rename(&copied, &target).map_err(at("name", &target))?;
    for (source, name) in draft_files {
        copy(source, &draft.file(name))?;
    }
    let manifest = Manifest {
        format: FORMAT,
        contents,
        architecture: options.architecture,
        kernel: None,
        arguments: options.arguments.clone(),
        packages: Vec::new(),
        files: Vec::new(),
    };
    draft.publish(store, manifest, &options.name, None)
}

/// Copies a file; what is zero in it takes no room.
fn copy(from: &Path, to: &Path) -> Result<(), ImageError> {
    let mut source = File::open(from).map_err(at("read", from))?;
    if !source.metadata().is_ok_and(|it| it.is_file()) {
        return Err(ImageError::NotAnImage {
            path: from.to_owned(),
            what: "no file".to_owned(),
        });
    }
    let mut target = File::create_new(to).map_err(at("make", to))?;
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(at("read", from)(error)),
        };
        size += count as u64;
        if buffer[..count].iter().all(|&it| it == 0) {
            target
                .seek(SeekFrom::Start(size))
                .map_err(at("write", to))?;
        } else {
            target
                .write_all(&buffer[..count])
                .map_err(at("write", to))?;
        }
    }
    target.set_len(size).map_err(at("write", to))
}
