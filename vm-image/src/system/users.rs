//! Users and groups.

use super::Root;
use crate::error::ImageError;

/// Where base-passwd has the users and groups that every Debian has.
const MASTERS: [&str; 2] = [
    "/usr/share/base-passwd/passwd.master",
    "/usr/share/base-passwd/group.master",
];

/// For a root without base-passwd.
const USERS: &str = "\
root:*:0:0:root:/root:/bin/bash
daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:*:2:2:bin:/bin:/usr/sbin/nologin
nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const GROUPS: &str = "\
root:*:0:
daemon:*:1:
bin:*:2:
tty:*:5:
shadow:*:42:
users:*:100:
nogroup:*:65534:
";

/// The one that others log in as: by ssh, to build.
const BUILDER: &str = "offloading";
const BUILDER_ID: u32 = 1000;
const MORE_USERS: &str = "\
sshd:*:101:65534::/run/sshd:/usr/sbin/nologin
offloading:*:1000:1000::/home/offloading:/bin/bash
";
const MORE_GROUPS: &str = "offloading:*:1000:\n";

const NIX_CONF: &str = "/etc/nix/nix.conf";
/// Whoever has something built sends what it needs along; and mostly, no network leads out.
const NIX: &str = "substitute = false\n";

/// Debian's number of the group that may read passwords.
const SHADOW: u32 = 42;

pub(super) fn add(root: &mut Root<'_>) -> Result<(), ImageError> {
    let master = |root: &Root<'_>, path: &str, own: &str| {
        let bytes = root.read(path)?;
        Ok::<_, ImageError>(bytes.map_or_else(
            || own.to_owned(),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        ))
    };
    let users = master(root, MASTERS[0], USERS)? + MORE_USERS;
    let groups = master(root, MASTERS[1], GROUPS)? + MORE_GROUPS;
    let days = root.clamp / 86_400;
    root.put("/etc/passwd", masked(&users).as_bytes(), 0o644)?;
    root.put("/etc/group", masked(&groups).as_bytes(), 0o644)?;
    // `*`: no password is right, and yet a key may be: an account with `!` is locked.
    let shadow = lines(&users, |name| format!("{name}:*:{days}:0:99999:7:::"));
    root.put_of("/etc/shadow", shadow.as_bytes(), 0o640, SHADOW)?;
    let shadow = lines(&groups, |name| format!("{name}:*::"));
    root.put_of("/etc/gshadow", shadow.as_bytes(), 0o640, SHADOW)?;
    let home = format!("/home/{BUILDER}");
    root.directory(&home, 0o755, (BUILDER_ID, BUILDER_ID))?;
    root.directory(&format!("{home}/.ssh"), 0o700, (BUILDER_ID, BUILDER_ID))?;
    nix(root)
}

/// Where there is Nix, the store is that user's: it serves remote builders without a daemon, whose work would be gone with the machine anyway.
fn nix(root: &mut Root<'_>) -> Result<(), ImageError> {
    if !root.tree.has("/usr/bin/nix-store") {
        return Ok(());
    }
    root.directory("/nix", 0o755, (BUILDER_ID, BUILDER_ID))?;
    if root.tree.has(NIX_CONF) {
        return Ok(());
    }
    root.put(NIX_CONF, NIX.as_bytes(), 0o644)
}

/// The second field as `x`: it is elsewhere.
fn masked(text: &str) -> String {
    let line = |line: &str| {
        let mut fields: Vec<_> = line.split(':').collect();
        if let Some(field) = fields.get_mut(1) {
            *field = "x";
        }
        fields.join(":") + "\n"
    };
    text.lines().filter(|it| !it.is_empty()).map(line).collect()
}

fn lines(text: &str, line: impl Fn(&str) -> String) -> String {
    let names = text.lines().filter_map(|it| it.split(':').next());
    let names = names.filter(|name| !name.is_empty());
    names.map(|name| line(name) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_elsewhere() {
        assert_eq!(
            masked("root:*:0:0::/root:/bin/sh\n"),
            "root:x:0:0::/root:/bin/sh\n"
        );
        assert_eq!(
            lines("a:*:0:\nb:*:1:\n", |name| format!("{name}!")),
            "a!\nb!\n"
        );
    }
}
