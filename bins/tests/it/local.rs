//! Commands that need no coordinator.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use grange_derivation::{Builder, StoreDir};

use crate::process::{GRANGE, Ran, grange, program};

#[test]
fn archives_are_packed_listed_unpacked_and_hashed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("tree")).unwrap();
    fs::write(at("tree/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at("tree/run"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("run", at("tree/link")).unwrap();

    grange(&["nar", "pack", &at("tree"), "--to", &at("tree.nar")]).expect(0);
    let packed = program(GRANGE)
        .args(["nar", "pack", &at("tree")])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(packed.stdout, fs::read(at("tree.nar")).unwrap());

    let ran = grange(&["nar", "list", &at("tree.nar"), "--json"]).expect(0);
    let listed: Vec<String> = ran
        .json()
        .iter()
        .map(|entry| format!("{} {}", entry["type"].as_str().unwrap(), entry["path"]))
        .collect();
    assert_eq!(
        listed,
        ["directory \"\"", "symlink \"link\"", "regular \"run\""]
    );
    assert_eq!(ran.json()[2]["executable"], true);

    grange(&["nar", "unpack", &at("tree.nar"), "--to", &at("copy")]).expect(0);
    let hash = |name: &str| {
        grange(&["nar", "hash", &at(name), "--json"])
            .expect(0)
            .json()[0]["sha256"]
            .clone()
    };
    assert_eq!(hash("copy"), hash("tree"));
    assert_eq!(
        grange(&["nar", "hash", &at("copy")])
            .expect(0)
            .stdout
            .trim()
            .len(),
        52
    );

    // What is there is not overwritten, and what is no archive leaves nothing behind.
    grange(&["nar", "unpack", &at("tree.nar"), "--to", &at("copy")]).expect(1);
    grange(&["nar", "pack", &at("tree"), "--to", &at("tree.nar")]).expect(1);
    fs::write(at("bad.nar"), &packed.stdout[..packed.stdout.len() - 8]).unwrap();
    grange(&["nar", "unpack", &at("bad.nar"), "--to", &at("bad")]).expect(1);
    assert!(!directory.path().join("bad").exists());
    grange(&["nar", "list", &at("bad.nar")]).expect(1);
}

#[test]
fn derivations_are_shown_as_nix_does() {
    let directory = tempfile::tempdir().unwrap();
    let store = StoreDir::nix();
    let library = Builder::new(&store, "library", "x86_64-linux", "/bin/sh")
        .instantiate()
        .unwrap();
    let tool = Builder::new(&store, "tool", "x86_64-linux", "/bin/sh")
        .input(&library, &["out"])
        .instantiate()
        .unwrap();
    let mut files = Vec::new();
    for derivation in [&library, &tool] {
        let file = directory.path().join(derivation.path.base_name());
        fs::write(&file, &derivation.text).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let ran = grange(&["derivation", "show", &files[0], &files[1], "--json"]).expect(0);
    let value = &ran.json()[0];
    assert_eq!(
        value.as_object().unwrap().len(),
        2,
        "one object for all files"
    );
    let shown = &value[tool.path.to_string()];
    assert_eq!(shown["inputDrvs"][library.path.to_string()][0], "out");
    assert_eq!(
        shown["outputs"]["out"]["path"],
        tool.output("out").unwrap().to_string()
    );

    let renamed = directory
        .path()
        .join(format!("{}-other.drv", library.path.hash_part()));
    fs::copy(&files[0], &renamed).unwrap();
    let ran: Ran = grange(&["derivation", "show", renamed.to_str().unwrap()]).expect(1);
    assert!(ran.stderr.starts_with("grange: cannot show"), "{ran:?}");
    fs::write(&files[0], "Derive([").unwrap();
    grange(&["derivation", "show", &files[0]]).expect(1);
}
