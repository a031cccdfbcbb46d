//! Variables for the daemon.

use grange_derivation::{Builder, OptionsError, Reference, StoreDir, StorePath};

const A: &str = "/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-a";

fn builder() -> Builder {
    Builder::new(&StoreDir::guix(), "x", "x86_64-linux", "/bin/sh")
}

fn error(variable: &str, value: &str) -> OptionsError {
    builder()
        .env(variable, value)
        .instantiate()
        .unwrap()
        .derivation
        .options()
        .unwrap_err()
}

#[test]
fn defaults() {
    let plain = builder().instantiate().unwrap();
    let options = plain.derivation.options().unwrap();
    assert!(
        options.allow_substitutes
            && !options.prefer_local_build
            && !options.structured_attrs
            && !options.no_chroot
    );
    assert_eq!(
        (&options.allowed_references, &options.allowed_requisites),
        (&None, &None)
    );
    assert!(
        options.export_references_graph.is_empty() && options.required_system_features.is_empty()
    );
}

#[test]
fn all_set() {
    let a = StorePath::parse_any(A).unwrap();
    let written = builder()
        .export_references_graph("graph", &a)
        .export_references_graph("other", &a)
        .allowed_references([A, "out"])
        .env("allowedRequisites", "")
        .env("disallowedReferences", format!("{A}\n"))
        .env("disallowedRequisites", "out")
        .required_system_features(["kvm", "big-parallel"])
        .env("impureEnvVars", "http_proxy  LANG\tCOLUMNS")
        .env("preferLocalBuild", "1")
        .env("allowSubstitutes", "")
        .env("passAsFile", "text")
        .env("__json", "{}")
        .env("__noChroot", "1")
        .instantiate()
        .unwrap();
    let options = written.derivation.options().unwrap();
    let (path, out) = (
        Reference::Path(a.clone()),
        Reference::Output("out".parse().unwrap()),
    );
    assert_eq!(
        options.export_references_graph,
        [("graph", a.clone()), ("other", a)]
    );
    assert_eq!(
        options.allowed_references,
        Some(vec![path.clone(), out.clone()])
    );
    assert_eq!(options.allowed_requisites, Some(vec![]));
    assert_eq!(options.disallowed_references, [path]);
    assert_eq!(options.disallowed_requisites, [out]);
    assert_eq!(
        options.required_system_features,
        [b"kvm".as_slice(), b"big-parallel"]
    );
    assert_eq!(
        options.impure_env_vars,
        [b"http_proxy".as_slice(), b"LANG", b"COLUMNS"]
    );
    assert_eq!(options.pass_as_file, [b"text"]);
    assert!(
        options.prefer_local_build
            && !options.allow_substitutes
            && options.structured_attrs
            && options.no_chroot
    );
}

#[test]
fn refused() {
    assert!(matches!(
        error("allowedReferences", "lib"),
        OptionsError::Reference {
            variable: "allowedReferences",
            ..
        }
    ));
    assert!(matches!(
        error("disallowedRequisites", "/x"),
        OptionsError::Reference { .. }
    ));
    assert_eq!(
        error("exportReferencesGraph", "graph"),
        OptionsError::GraphWithoutPath
    );
    assert!(matches!(
        error("exportReferencesGraph", "graph /x"),
        OptionsError::GraphPath(_)
    ));
    assert!(matches!(
        error("exportReferencesGraph", &format!("../graph {A}")),
        OptionsError::GraphFile(_)
    ));
}
