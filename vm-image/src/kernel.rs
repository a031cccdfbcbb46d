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
            && (name.contains(".ko")
                || ["vmlinuz", "config", "modules.builtin"].contains(&name.as_ref()))
}

/// The release of the kernel that a file is, if it is one: `/boot/vmlinuz-RELEASE`, or, since Debian 14,
/// `/usr/lib/modules/RELEASE/vmlinuz`, which the package's scripts would copy to the former.
fn release(place: &Place) -> Option<String> {
    let path = String::from_utf8_lossy(place.bytes());
    let release = path.strip_prefix("boot/vmlinuz-").or_else(|| {
        path.strip_prefix("usr/lib/modules/")?
            .strip_suffix("/vmlinuz")
    })?;
    (!release.is_empty() && !release.contains('/')).then(|| release.to_owned())
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
        if let (Some(release), Node::File(content)) = (release(place), &entry.node) {
            kernels.push((release, *content));
        }
    }
    let [(release, content)] = kernels.as_slice() else {
        return Err(bad(format!(
            "it brings {} kernels in place of one",
            kernels.len()
        )));
    };
    let configs = [
        format!("/boot/config-{release}"),
        format!("/usr/lib/modules/{release}/config"),
    ];
    let config = match configs.iter().find_map(|path| tree.file(path)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Attributes;

    fn found(files: &[(&str, &str)]) -> Result<Kernel, ImageError> {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(&directory.path().join("spool"), 1 << 20).unwrap();
        let mut tree = Tree::default();
        for (path, text) in files {
            let place = Place::absolute(path).unwrap();
            assert!(is_wanted(&place), "{path}");
            let content = spool.add_bytes(text.as_bytes()).unwrap();
            tree.put(place, Node::File(content), Attributes::root(0o644));
        }
        find(&tree, &spool, "linux-image").map(|found| found.kernel)
    }

    #[test]
    fn a_kernel_lies_in_boot_or_beside_its_modules() {
        let former = [
            ("/boot/vmlinuz-6.1.0-48-amd64", "kernel"),
            ("/boot/config-6.1.0-48-amd64", "CONFIG_VMGENID=y\n"),
        ];
        let kernel = found(&former).unwrap();
        assert_eq!(kernel.release, "6.1.0-48-amd64");
        assert!(kernel.knows_copies);

        let split = [
            ("/usr/lib/modules/7.2.13+deb14-amd64/vmlinuz", "kernel"),
            (
                "/usr/lib/modules/7.2.13+deb14-amd64/config",
                "CONFIG_VMGENID=y\n",
            ),
            ("/usr/lib/modules/7.2.13+deb14-amd64/modules.builtin", ""),
        ];
        let kernel = found(&split).unwrap();
        assert_eq!(kernel.release, "7.2.13+deb14-amd64");
        assert!(kernel.knows_copies);
    }

    #[test]
    fn there_is_one_kernel() {
        let error = found(&[]).unwrap_err().to_string();
        assert!(error.contains("brings 0 kernels"), "{error}");
        let two = [
            ("/boot/vmlinuz-1", "kernel"),
            ("/usr/lib/modules/2/vmlinuz", "kernel"),
        ];
        let error = found(&two).unwrap_err().to_string();
        assert!(error.contains("brings 2 kernels"), "{error}");
    }
}
