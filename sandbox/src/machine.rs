//! What this machine is.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

/// The systems that it builds for: its own, its 32-bit one, and `builtin`.
pub(crate) fn systems() -> Vec<String> {
    let machine = std::env::consts::ARCH;
    let mut systems = vec![format!("{machine}-linux")];
    if machine == "x86_64" {
        systems.push("i686-linux".to_owned());
    }
    systems.push("builtin".to_owned());
    systems
}

/// Whether a program for `system` has to see a 32-bit machine.
pub(crate) fn is_32_bit_guest(system: &[u8]) -> bool {
    matches!(
        (std::env::consts::ARCH, system),
        ("x86_64", b"i686-linux") | ("aarch64", b"armhf-linux" | b"armv7l-linux")
    )
}

/// The features that it offers.
pub(crate) fn features() -> Vec<String> {
    let mut features = vec!["benchmark".to_owned(), "big-parallel".to_owned()];
    if builds_may_use_kvm() {
        features.push("kvm".to_owned());
    }
    features
}

/// Whether builds, which run as a user of their own if we are root, may use `/dev/kvm`.
fn builds_may_use_kvm() -> bool {
    let path = Path::new("/dev/kvm");
    let Ok(metadata) = path.metadata() else {
        return false;
    };
    metadata.permissions().mode() & 0o006 == 0o006
        || !is_root() && File::options().read(true).write(true).open(path).is_ok()
}

/// The devices of the machine that builds see, as Guix and Nix show them.
pub(crate) fn devices() -> impl Iterator<Item = &'static str> {
    let there = |device: &&str| {
        Path::new("/dev")
            .join(device)
            .metadata()
            .is_ok_and(|it| it.file_type().is_char_device())
    };
    ["full", "kvm", "null", "random", "tty", "urandom", "zero"]
        .into_iter()
        .filter(there)
}

/// Whether this process is the superuser.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
