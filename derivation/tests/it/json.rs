//! `nix show-derivation`.

use grange_derivation::{Builder, Hash, NixJsonError, StoreDir, nix_json};
use serde_json::json;

#[test]
fn as_nix_prints_it() {
    let store = StoreDir::nix();
    let source = Builder::new(&store, "source", "builtin", "builtin:fetchurl")
        .fixed(true, Hash::sha256(b""))
        .instantiate()
        .unwrap();
    let user = Builder::new(&store, "user", "x86_64-linux", "/bin/sh")
        .arg("-c")
        .input(&source, &["out"])
        .output("lib")
        .instantiate();
    let user = user.unwrap();
    let value = nix_json([
        (&source.path, &source.derivation),
        (&user.path, &user.derivation),
    ])
    .unwrap();
    let expected = json!({
        source.path.to_string(): {
            "outputs": { "out": {
                "path": source.output("out").unwrap().to_string(),
                "hashAlgo": "r:sha256",
                "hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            } },
            "inputSrcs": [], "inputDrvs": {}, "system": "builtin", "builder": "builtin:fetchurl", "args": [],
            "env": {
                "builder": "builtin:fetchurl", "name": "source", "system": "builtin",
                "out": source.output("out").unwrap().to_string(),
            },
        },
        user.path.to_string(): {
            "outputs": { "lib": { "path": user.output("lib").unwrap().to_string() } },
            "inputSrcs": [], "inputDrvs": { source.path.to_string(): ["out"] },
            "system": "x86_64-linux", "builder": "/bin/sh", "args": ["-c"],
            "env": {
                "builder": "/bin/sh", "name": "user", "system": "x86_64-linux",
                "lib": user.output("lib").unwrap().to_string(),
            },
        },
    });
    assert_eq!(value, expected);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let odd = Builder::new(&StoreDir::nix(), "odd", "x", "/bin/sh")
        .env("bytes", [0xff])
        .instantiate()
        .unwrap();
    let error = nix_json([(&odd.path, &odd.derivation)]).unwrap_err();
    assert!(
        matches!(&error, NixJsonError::NotText { what: "a variable", bytes, .. } if bytes == "\\xff")
    );
}
