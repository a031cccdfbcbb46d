//! Files and directories of `/etc` and beside it.

use super::Root;
use crate::error::ImageError;

/// Directories of every root, with their permissions, if no package has them.
const DIRECTORIES: &[(&str, u32)] = &[
    ("/dev", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/mnt", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/run/lock", 0o1777),
    // OpenSSH goes there when it has given up its rights.
    ("/run/sshd", 0o755),
    ("/srv", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/var", 0o755),
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
];

/// What scripts copy to where it is looked for.
const COPIES: &[(&str, &str)] = &[
    ("/usr/share/base-files/dot.bashrc", "/root/.bashrc"),
    ("/usr/share/base-files/dot.profile", "/root/.profile"),
    ("/usr/share/base-files/nsswitch.conf", "/etc/nsswitch.conf"),
    ("/usr/share/base-files/profile", "/etc/profile"),
];

/// Files of our own, if no package has them.
const FILES: &[(&str, &str)] = &[
    ("/etc/environment", ""),
    ("/etc/fstab", ""),
    ("/etc/hostname", "grange\n"),
    (
        "/etc/hosts",
        "127.0.0.1 localhost\n127.0.1.1 grange\n::1 localhost ip6-localhost ip6-loopback\n",
    ),
    // Empty: whoever boots it makes one.
    ("/etc/machine-id", ""),
    (
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nprotocols: files\nservices: files\n",
    ),
    (
        "/etc/os-release",
        "NAME=\"Grange image\"\nID=grange\nPRETTY_NAME=\"Grange image\"\n",
    ),
    (
        "/etc/profile",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\n",
    ),
    ("/etc/resolv.conf", ""),
    ("/etc/shells", "/bin/sh\n/bin/bash\n/usr/bin/bash\n"),
    ("/etc/subgid", ""),
    ("/etc/subuid", ""),
];

/// Debian's own takes PAM to be set up, which a script does, and passwords, which nobody has here.
const SSHD: &str = "\
# Only keys, and what builds need.
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
PrintMotd no
X11Forwarding no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
";

/// The parts of PAM that others include, which `pam-auth-update` would have made.
const PAM: &[(&str, &str)] = &[
    ("account", "account required pam_unix.so\n"),
    ("auth", "auth required pam_unix.so\n"),
    ("password", "password required pam_unix.so yescrypt\n"),
    ("session", "session required pam_unix.so\n"),
    ("session-noninteractive", "session required pam_unix.so\n"),
];

const CERTIFICATES: &str = "/usr/share/ca-certificates/";

pub(super) fn add(root: &mut Root<'_>) -> Result<(), ImageError> {
    for (path, mode) in DIRECTORIES {
        if !root.tree.has(path) {
            root.directory(path, *mode, (0, 0))?;
        }
    }
    for (from, to) in COPIES {
        if let Some(bytes) = root.read(from)?
            && !root.tree.has(to)
        {
            root.put(to, &bytes, 0o644)?;
        }
    }
    for (path, text) in FILES {
        if !root.tree.has(path) {
            root.put(path, text.as_bytes(), 0o644)?;
        }
    }
    if root.tree.has("/usr/sbin/sshd") {
        root.put("/etc/ssh/sshd_config", SSHD.as_bytes(), 0o644)?;
    }
    if root.tree.has("/etc/pam.d") {
        for (name, text) in PAM {
            root.put(&format!("/etc/pam.d/common-{name}"), text.as_bytes(), 0o644)?;
        }
    }
    certificates(root)
}

/// The bundle that `update-ca-certificates` would have made, of all certificates that are there.
fn certificates(root: &mut Root<'_>) -> Result<(), ImageError> {
    let paths = root.tree.iter().map(|(place, _)| place.to_string());
    let is_one = |path: &String| path.starts_with(CERTIFICATES) && path.ends_with(".crt");
    let paths: Vec<_> = paths.filter(is_one).collect();
    if paths.is_empty() {
        return Ok(());
    }
    let mut bundle = Vec::new();
    for path in paths {
        if let Some(bytes) = root.read(&path)? {
            bundle.extend(bytes);
            if !bundle.ends_with(b"\n") {
                bundle.push(b'\n');
            }
        }
    }
    root.put("/etc/ssl/certs/ca-certificates.crt", &bundle, 0o644)
}
