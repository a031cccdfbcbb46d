//! What differs between the sandboxes of Guix and Nix, in one place.
//!
//! Facts of guix-daemon 1.5.0 and nix-daemon 2.8.0, as builds see them; see `testdata/`.

use grange_derivation::Dialect;

use crate::plan::Ids;

/// `/etc/passwd`.
pub(crate) fn passwd(dialect: Dialect, ids: Ids) -> String {
    let Ids { uid, gid } = ids;
    match dialect {
        Dialect::Guix => format!(
            "nixbld:x:{uid}:{gid}:Nix build user:/:/noshell\n\
             nobody:x:65534:65534:Nobody:/:/noshell\n"
        ),
        Dialect::Nix => format!(
            "root:x:0:0:Nix build user:/build:/noshell\n\
             nixbld:x:{uid}:{gid}:Nix build user:/build:/noshell\n\
             nobody:x:65534:65534:Nobody:/:/noshell\n"
        ),
    }
}

/// `/etc/group`.
pub(crate) fn group(dialect: Dialect, ids: Ids) -> String {
    match dialect {
        Dialect::Guix => format!("nixbld:!:{}:\n", ids.gid),
        // Not the build's group, so that has no name: Nix 2.8 writes this file before it knows which it will be.
        Dialect::Nix => "root:x:0:\nnixbld:!:100:\nnogroup:x:65534:\n".to_owned(),
    }
}

/// `/etc/hosts` of builds without a network.
pub(crate) const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// Files of the machine that builds with a network see.
pub(crate) fn network_files(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Guix => &[
            "etc/services",
            "etc/nsswitch.conf",
            "etc/hosts",
            "etc/resolv.conf",
        ],
        Dialect::Nix => &["etc/services", "etc/hosts", "etc/resolv.conf"],
    }
}

/// Files that builds with a network see besides, whatever the machine has.
pub(crate) fn network_extras(dialect: Dialect) -> Option<(&'static str, &'static str)> {
    match dialect {
        Dialect::Guix => None,
        // Name services of the machine that need its libraries cannot be used inside.
        Dialect::Nix => Some(("etc/nsswitch.conf", "hosts: files dns\nservices: files\n")),
    }
}

/// Variables that are set whatever the derivation says.
pub(crate) fn fixed_variables(dialect: Dialect) -> &'static [(&'static str, &'static str)] {
    match dialect {
        Dialect::Guix => &[],
        Dialect::Nix => &[("NIX_LOG_FD", "2"), ("TERM", "xterm-256color")],
    }
}

/// A variable that tells fixed-output builders that somebody checks what they make.
pub(crate) fn checked_variable(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Guix => None,
        Dialect::Nix => Some("NIX_OUTPUT_CHECKED"),
    }
}

/// Whether builds may not set set-user-ID bits and extended attributes.
pub(crate) const fn refuses_privileged_modes(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Nix)
}

/// Whether `passAsFile` is heeded.
pub(crate) const fn passes_as_file(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Nix)
}

/// Whether what a fixed output refers to is an error. Nix cannot express such an item's path; Guix takes it.
pub(crate) const fn fixed_outputs_may_refer(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Guix)
}
