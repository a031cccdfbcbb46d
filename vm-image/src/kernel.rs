//! What the packages of a kernel have for an image.

mod modules;
mod payload;

use std::io;

use crate::error::ImageError;
use crate::manifest::Kernel;
use crate::place::Place;
use crate::spool::{Content, Spool};
use crate::tree::{Node, Tree};

pub(crate) use modules::{Closure, Module, closure};
pub(crate) use payload::extract;

/// Bytes of a kernel, compressed or not.
const MOST_BYTES: u64 = 512 << 20;

/// The kernel of a tree of packages.
#[derive(Debug)]
pub(crate) struct Found {
    pub kernel: Kernel,
    /// `vmlinuz` as it is.
    pub packed: Vec<u8>,
    /// `vmlinux`, if it could be had.
    pub unpacked: Option<Vec<u8>>,
    /// Whether it loads no module without a signature.
    pub only_signed: bool,
}

/// Whether a file of a kernel's package is needed here.
pub(crate) fn is_wanted(place: &Place) -> bool {
    let path = String::from_utf8_lossy(place.bytes());
    let name = String::from_utf8_lossy(place.name());
    path.starts_with("boot/vmlinuz-")
        || path.starts_with("boot/config-")
        || path.starts_with("usr/lib/modules/")
            && (name.contains(".ko") || name == "modules.builtin")
}

/// Finds the one kernel.
pub(crate) fn find(tree: &Tree, spool: &Spool, package: &str) -> Result<Found, ImageError> {
    let bad = |what: String| ImageError::BadPackage {
        package: package.to_owned(),
        what,
    };
    let read = |content: Content| {
        let bytes = spool.read(content, MOST_BYTES);
        bytes.map_err(|error: io::Error| bad(error.to_string()))
    };
    let mut kernels = Vec::new();
    for (place, entry) in tree.iter() {
        let name = String::from_utf8_lossy(place.name()).into_owned();
        let release = name.strip_prefix("vmlinuz-").map(str::to_owned);
        if let (Some(release), Node::File(content)) = (release, &entry.node) {
            kernels.push((release, *content));
        }
    }
    let [(release, content)] = kernels.as_slice() else {
        return Err(bad(format!(
            "it brings {} kernels in place of one",
            kernels.len()
        )));
    };
    let config = match tree.file(&format!("/boot/config-{release}")) {
        Some(content) => String::from_utf8_lossy(&read(content)?).into_owned(),
        None => String::new(),
    };
    let has = |option: &str| config.lines().any(|line| line == option);
    let packed = read(*content)?;
    // Without the entry point for virtual machines, QEMU cannot start an unpacked one.
    let unpacked = match config.is_empty() || has("CONFIG_PVH=y") {
        true => extract(&packed),
        false => None,
    };
    let kernel = Kernel {
        release: release.clone(),
        uncompressed: unpacked.is_some(),
        knows_copies: has("CONFIG_VMGENID=y"),
    };
    Ok(Found {
        kernel,
        packed,
        unpacked,
        only_signed: has("CONFIG_MODULE_SIG_FORCE=y"),
    })
}
