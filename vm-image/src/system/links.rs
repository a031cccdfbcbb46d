//! Links that `update-alternatives` would have made.

use super::Root;
use crate::place::Place;
use crate::tree::{Attributes, Node};

/// A name, and what it may lead to, the best first.
const ALTERNATIVES: &[(&str, &[&str])] = &[
    ("/usr/bin/awk", &["gawk", "mawk", "original-awk", "busybox"]),
    ("/usr/bin/nawk", &["gawk", "mawk", "original-awk"]),
    ("/usr/bin/cc", &["gcc", "clang", "tcc"]),
    ("/usr/bin/c89", &["c89-gcc"]),
    ("/usr/bin/c99", &["c99-gcc"]),
    ("/usr/bin/c++", &["g++", "clang++"]),
    ("/usr/bin/lzma", &["xz"]),
    ("/usr/bin/unlzma", &["xz"]),
    ("/usr/bin/lzcat", &["xzcat"]),
    ("/usr/bin/pager", &["less", "more"]),
    ("/usr/bin/editor", &["nano", "vim.tiny"]),
    ("/usr/bin/fakeroot", &["fakeroot-sysv", "fakeroot-tcp"]),
    ("/usr/bin/nc", &["nc.openbsd", "nc.traditional"]),
    ("/usr/bin/which", &["which.debianutils", "which.gnu"]),
    ("/usr/bin/python", &["python3"]),
];

/// Links of other kinds, if what they lead to is there.
const OTHERS: &[(&str, &str, &str)] = &[
    // OpenSSL looks for a bundle there; Debian gives it a directory of hashed names, which a script makes.
    (
        "/usr/lib/ssl/cert.pem",
        "/etc/ssl/certs/ca-certificates.crt",
        "/usr/lib/ssl",
    ),
    ("/etc/mtab", "../proc/self/mounts", "/etc"),
    ("/usr/bin/sh", "dash", "/usr/bin/dash"),
    ("/usr/bin/sh", "bash", "/usr/bin/bash"),
    ("/usr/bin/sh", "busybox", "/usr/bin/busybox"),
    ("/var/run", "/run", "/run"),
    ("/var/lock", "/run/lock", "/run"),
];

pub(super) fn add(root: &mut Root<'_>) {
    for (path, targets) in ALTERNATIVES {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let target = targets
            .iter()
            .find(|target| root.tree.has(&format!("{directory}/{target}")));
        if let Some(target) = target {
            link(root, path, target);
        }
    }
    for (path, target, needed) in OTHERS {
        if root.tree.has(needed) {
            link(root, path, target);
        }
    }
}

/// Unless something is there.
fn link(root: &mut Root<'_>, path: &str, target: &str) {
    let place = Place::absolute(path).expect("the tables have plain paths");
    if root.tree.get(&place).is_none() {
        let node = Node::Link(target.as_bytes().to_vec());
        root.tree.put(place, node, Attributes::root(0o777));
    }
}
