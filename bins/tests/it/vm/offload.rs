//! A machine that builds for a stock Nix, by ssh.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::rig::{guest_program, rig};
use crate::process::Ran;

/// Says which day it is. It needs nothing else of the store.
const BUILDER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(void) {
    time_t now = time(0);
    char day[32];
    strftime(day, sizeof day, "%F", gmtime(&now));
    FILE *out = fopen(getenv("out"), "w");
    return !out || fputs(day, out) < 0 || fclose(out);
}
"#;

/// Runs a program beside a store of its own, in a mount namespace: this machine's Nix, if it has any, sees nothing of it.
fn nix(directory: &Path, arguments: &[&str]) -> Command {
    let script = "mount --bind \"$1\" /nix && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    command.arg("sh").arg(directory.join("nix")).args(arguments);
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .env("HOME", directory)
        .env("NIX_CONF_DIR", directory)
        .env_remove("NIX_REMOTE");
    command
}

/// Whether a Nix can be run so; says why not.
fn has_nix() -> bool {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        println!("skipped: a Nix with a store of its own needs root");
        return false;
    }
    let found = Command::new("sh")
        .args(["-c", "command -v nix-build"])
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs nix-build (Debian package nix-bin)");
        return false;
    }
    // Where its store is mounted, in a namespace.
    fs::create_dir_all("/nix").unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("nix")).unwrap();
    let can = nix(directory.path(), &["true"]).status().unwrap().success();
    if !can {
        println!("skipped: this machine forbids mounts");
    }
    can
}

#[test]
fn a_stock_nix_has_something_built_in_the_past() {
    let Some(rig) = rig() else { return };
    if !has_nix() {
        return;
    }
    let guest = guest_program().display().to_string();
    let image = [
        "image",
        "build",
        "debian-12-nix",
        "--add-package",
        "nix-bin",
    ];
    rig.grange(&[&image[..], &["--guest-program", &guest]].concat())
        .expect(0);
    let forward = super::machines::forward();
    let options = ["--image", "debian-12-nix", "--forward", &forward];
    let machine = rig.create("nix", &[&options[..], &["--date", "2020-01-01"]].concat());
    rig.grange(&["start", "nix"]).expect(0);

    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("nix")).unwrap();
    let conf = "build-users-group =\nsubstitute = false\n";
    fs::write(at("nix.conf"), conf).unwrap();
    fs::write(at("date.c"), BUILDER).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-static", "-O1", "-s", "-o", "date", "date.c"]);
    let compiled = cc.current_dir(directory.path()).status().unwrap();
    assert!(compiled.success());
    let text =
        "derivation { name = \"dated\"; system = \"x86_64-linux\"; builder = ./date; }".to_owned();
    fs::write(at("default.nix"), text).unwrap();

    let config = rig.directory("nix").join("keys/ssh_config");
    let build = |config: &Path| -> Ran {
        let builders = ["--max-jobs", "0", "--builders", "ssh://nix x86_64-linux"];
        let mut command = nix(directory.path(), &["nix-build", "--no-out-link"]);
        command.args(builders).arg("default.nix");
        command.env("NIX_SSHOPTS", format!("-F {}", config.display()));
        command.output().unwrap().into()
    };
    // Another machine in its place is not spoken to.
    let known = fs::read_to_string(&config).unwrap();
    let strange = at("strange_config");
    let nobody = known.replace("keys/known_hosts", "keys/nobody_known");
    fs::write(&strange, nobody).unwrap();
    assert_ne!(build(&strange).status, 0);

    let built = build(&config).expect(0);
    assert!(built.stderr.contains("on 'ssh://nix'"), "{built:?}");
    let output = Path::new(built.stdout.trim());
    let name = output.file_name().unwrap();
    let said = fs::read_to_string(at("nix/store").join(name)).unwrap();
    assert_eq!(said, "2020-01-01");
    drop(machine);
}
