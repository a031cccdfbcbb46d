//! What the tests need on a fresh Debian 12 with Rust.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::run;

/// Debian packages, and a program or file by which to tell that each is there.
const PACKAGES: &[(&str, &str)] = &[
    ("build-essential", "/usr/bin/cc"),
    ("curl", "/usr/bin/curl"),
    ("e2fsprogs", "/usr/sbin/mke2fs"),
    ("git", "/usr/bin/git"),
    ("lzip", "/usr/bin/lzip"),
    ("openssh-client", "/usr/bin/ssh"),
    ("openssl", "/usr/bin/openssl"),
    ("postgresql", "/usr/lib/postgresql"),
    ("squashfs-tools", "/usr/bin/sqfstar"),
    ("util-linux", "/usr/bin/setpriv"),
    ("valgrind", "/usr/bin/valgrind"),
    ("xz-utils", "/usr/bin/xz"),
    ("zstd", "/usr/bin/zstd"),
];

/// Further ones for tests that only root can run.
const FOR_ROOT: &[(&str, &str)] = &[
    ("iproute2", "/usr/sbin/ip"),
    ("nix-bin", "/usr/bin/nix-daemon"),
];

/// Further ones for whoever is not root: what mounts a file system of ours.
const FOR_OTHERS: &[(&str, &str)] = &[("fuse3", "/usr/bin/fusermount3")];

/// Installs the packages that are not there.
pub(crate) fn packages() -> Result<()> {
    let root = std::fs::metadata("/proc/self")?.uid() == 0;
    let further = if root { FOR_ROOT } else { FOR_OTHERS };
    let absent = PACKAGES
        .iter()
        .chain(further)
        .filter(|(_, file)| !std::path::Path::new(file).exists());
    let absent: Vec<&str> = absent.map(|(package, _)| *package).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let sudo: &[&str] = if root { &[] } else { &["sudo"] };
    let run = |arguments: &[&str]| {
        run::step_with(
            "packages",
            &[sudo, &["apt-get"], arguments].concat(),
            &[("DEBIAN_FRONTEND", "noninteractive")],
        )
    };
    run(&["update", "--quiet"])?;
    run(&[
        &["install", "--yes", "--quiet", "--no-install-recommends"],
        absent.as_slice(),
    ]
    .concat())
}

/// Installs an emulator, unless it is there.
pub(crate) fn qemu() -> Result<()> {
    const PROGRAM: &str = "/usr/bin/qemu-system-x86_64";
    const TOOLS: &str = "/usr/bin/qemu-img";
    let root = std::fs::metadata("/proc/self")?.uid() == 0;
    if cfg!(not(target_arch = "x86_64")) || std::path::Path::new(PROGRAM).exists() {
        return Ok(());
    }
    let sudo: &[&str] = if root { &[] } else { &["sudo"] };
    run::step(
        "package lists",
        &[sudo, &["apt-get", "update", "--quiet"]].concat(),
    )?;
    let mut words = vec!["apt-get", "install", "--yes", "--quiet"];
    words.extend(["--no-install-recommends", "qemu-system-x86", "seabios"]);
    // Its tools must be of its own version: newer ones, from backports, would be in its way.
    let mut tools = String::new();
    if std::path::Path::new(TOOLS).exists() {
        let policy = Command::new("apt-cache")
            .args(["policy", "qemu-system-x86"])
            .output()?;
        let policy = String::from_utf8_lossy(&policy.stdout).into_owned();
        let candidate = policy
            .lines()
            .find_map(|line| line.trim().strip_prefix("Candidate: "));
        let release = candidate.and_then(|version| version.split('+').next());
        tools.push_str(&format!("qemu-utils={}*", release.unwrap_or_default()));
        words.extend(["--allow-downgrades", &tools]);
    }
    run::step_with(
        "emulator",
        &[sudo, &words].concat(),
        &[("DEBIAN_FRONTEND", "noninteractive")],
    )
}

/// Gets the toolchain that sandboxed tests build with: packages that are unpacked, not installed.
pub(crate) fn seeds() -> Result<()> {
    let mut show = Command::new("apt-cache");
    show.args(["show", "tcc"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let known = show.status().is_ok_and(|status| status.success());
    let root = std::fs::metadata("/proc/self")?.uid() == 0;
    if !known && root {
        run::step("package lists", &["apt-get", "update", "--quiet"])?;
    }
    run::step("seeds", &["sh", "xtask/seeds"])
}

/// Gets a real Guix, unpacked and not installed, where it can be run: as root. Where it cannot be had, its tests are
/// skipped.
pub(crate) fn guix() -> Result<()> {
    if std::fs::metadata("/proc/self")?.uid() == 0
        && let Err(error) = run::step("guix", &["sh", "xtask/guix", "setup"])
    {
        eprintln!("xtask: there is no guix-daemon to test with: {error:#}");
    }
    Ok(())
}
