//! What others read to reach a machine by ssh: Nix and Guix, to have it build, and ssh itself.

use std::fs;
use std::path::Path;

use super::error::{HomeError, io};
use super::keys::KeyFiles;
use super::machines::write;
use crate::machine::{Forward, VirtualBuildMachine};

/// The guest's port of ssh.
const SSH: u16 = 22;
/// Who has things built there.
const USER: &str = "offloading";

/// Writes them beside the keys: `known_hosts`, `ssh_config` and, for Guix's `/etc/guix/machines.scm`, `machine.scm`. If no port of this host leads to
/// the guest's ssh, there is nothing to be written.
pub(super) fn write_all(machine: &VirtualBuildMachine, files: &KeyFiles) -> Result<(), HomeError> {
    let Ok(system) = machine.guest_system() else {
        return Ok(());
    };
    let forwards = machine.forwards(&system);
    let Some(forward) = forwards.iter().find(|forward| forward.guest == SSH) else {
        return Ok(());
    };
    let key = fs::read_to_string(&files.host_key).map_err(io("read", &files.host_key))?;
    let known = files.offload.with_file_name("known_hosts");
    write(&known, format!("{} {key}", machine.name).as_bytes())?;
    let config = ssh_config(machine, forward, &files.offload, &known);
    write(&known.with_file_name("ssh_config"), config.as_bytes())?;
    let entry = guix(machine, forward, &files.offload, &key);
    write(&known.with_file_name("machine.scm"), entry.as_bytes())
}

fn ssh_config(
    machine: &VirtualBuildMachine,
    forward: &Forward,
    key: &Path,
    known: &Path,
) -> String {
    let (name, address, port) = (&machine.name, forward.address(), forward.host);
    // ssh replaces what begins with a percent sign (ssh_config(5), TOKENS).
    let path = |path: &Path| format!("\"{}\"", path.display().to_string().replace('%', "%%"));
    let (key, known) = (path(key), path(known));
    format!(
        "Host {name}\n  HostName {address}\n  Port {port}\n  User {USER}\n  IdentityFile {key}\n  IdentitiesOnly yes\n  \
         UserKnownHostsFile {known}\n  HostKeyAlias {name}\n  StrictHostKeyChecking yes\n"
    )
}

/// The fields of `<build-machine>` in `guix/scripts/offload.scm`.
///
/// The threshold is off: a machine without KVM and with one processor would be above it from nothing but being asked for its load,
/// again and again.
fn guix(machine: &VirtualBuildMachine, forward: &Forward, key: &Path, host_key: &str) -> String {
    let systems: Vec<String> = machine.systems.iter().map(|it| quoted(it)).collect();
    // Its comment is no part of the key.
    let host_key: Vec<&str> = host_key.split_whitespace().take(2).collect();
    format!(
        "(build-machine\n  (name {})\n  (port {})\n  (systems (list {}))\n  (user {})\n  (host-key {})\n  (private-key {})\n  \
         (overload-threshold #f))\n",
        quoted(&forward.address().to_string()),
        forward.host,
        systems.join(" "),
        quoted(USER),
        quoted(&host_key.join(" ")),
        quoted(&key.display().to_string()),
    )
}

/// As a string of Scheme.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> (VirtualBuildMachine, Forward) {
        let machine = VirtualBuildMachine::new("past".parse().unwrap());
        (machine, "127.0.0.2:2022:22".parse().unwrap())
    }

    #[test]
    fn ssh_is_told_which_key_is_the_machines() {
        let (machine, forward) = machine();
        let config = ssh_config(
            &machine,
            &forward,
            Path::new("/a 100%/offload"),
            Path::new("/k"),
        );
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        fs::write(&file, config).unwrap();
        let asked = std::process::Command::new("ssh")
            .arg("-F")
            .arg(&file)
            .args(["-G", "past"])
            .output()
            .unwrap();
        let said = String::from_utf8(asked.stdout).unwrap();
        for line in [
            "hostname 127.0.0.2",
            "port 2022",
            "user offloading",
            "userknownhostsfile /k",
            "hostkeyalias past",
        ] {
            assert!(said.lines().any(|it| it == line), "{line}: {said}");
        }
        assert!(said.contains("identityfile /a 100%"), "{said}");
    }

    #[test]
    fn guix_is_told_the_key_without_its_comment() {
        let (machine, forward) = machine();
        let entry = guix(
            &machine,
            &forward,
            Path::new("/a\"b/offload"),
            "ssh-ed25519 AAAA root@here\n",
        );
        assert_eq!(
            entry,
            "(build-machine\n  (name \"127.0.0.2\")\n  (port 2022)\n  (systems (list \"x86_64-linux\"))\n  (user \"offloading\")\n  \
             (host-key \"ssh-ed25519 AAAA\")\n  (private-key \"/a\\\"b/offload\")\n  (overload-threshold #f))\n"
        );
    }
}
