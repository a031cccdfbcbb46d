//! Everything below hello-2.12.2, from the files alone.

use crate::facts::{compare, samples};
use crate::fixtures::hex;
use grange_derivation::{
    DerivationHash, StorePath, VerifyError, derivation_hash, graph, masked_hash, verify_outputs,
};
use std::collections::HashMap;
use std::convert::Infallible;

const HELLO: &str = "/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv";

#[test]
fn every_hash_and_output_path_follows_from_the_files() {
    let samples = samples("hello-closure");
    let by_path: HashMap<_, _> = samples
        .facts
        .iter()
        .map(|facts| (facts.path.as_str(), facts))
        .collect();
    let inputs = |path: &StorePath| -> Result<Vec<StorePath>, Infallible> {
        Ok(samples.derivations[path]
            .0
            .input_derivations
            .keys()
            .cloned()
            .collect())
    };
    let order = graph::topological([StorePath::parse_any(HELLO).unwrap()], inputs).unwrap();
    assert_eq!(order.len(), 228);

    let mut hashes: HashMap<StorePath, DerivationHash> = HashMap::new();
    for path in order {
        let facts = by_path[path.to_string().as_str()];
        let derivation = &samples.derivations[&path].0;
        let lookup = |path: &StorePath| hashes.get(path).copied();
        verify_outputs(derivation, lookup).unwrap();
        if let Some(masked) = &facts.masked_hash {
            assert_eq!(
                hex(&masked_hash(derivation, lookup).unwrap()),
                *masked,
                "{path}"
            );
        }
        let hash = derivation_hash(derivation, lookup).unwrap();
        assert_eq!(hash.to_string(), facts.derivation_hash, "{path}");
        hashes.insert(path, hash);
    }
}

#[test]
fn every_field_is_as_guix_reads_it() {
    let samples = samples("hello-closure");
    assert_eq!(samples.facts.len(), 228);
    for facts in &samples.facts {
        compare(&samples, facts);
    }
}

#[test]
fn lies_about_outputs_are_found() {
    let samples = samples("hello-closure");
    let (hello, _) = &samples.derivations[&StorePath::parse_any(HELLO).unwrap()];
    let known = crate::facts::known_hashes(&[&samples]);
    let lookup = |path: &StorePath| known.get(path).copied();
    assert_eq!(verify_outputs(hello, lookup), Ok(()));

    let mut other_path = hello.clone();
    let output = other_path.outputs.values_mut().next().unwrap();
    output.path = StorePath::new(&hello.store, [7; 20], &hello.name).unwrap();
    assert!(matches!(
        verify_outputs(&other_path, lookup),
        Err(VerifyError::Path { .. })
    ));

    let mut other_env = hello.clone();
    other_env
        .env
        .insert("out".into(), b"/gnu/store/elsewhere".to_vec());
    let error = verify_outputs(&other_env, lookup).unwrap_err();
    assert!(
        matches!(&error, VerifyError::Environment { found: Some(found), .. } if found == "/gnu/store/elsewhere")
    );

    let mut no_env = hello.clone();
    no_env.env.remove(b"out".as_slice());
    assert!(
        matches!(
            verify_outputs(&no_env, lookup),
            Err(VerifyError::Path { .. })
        ),
        "the hash covers names too"
    );

    let mut other_name = hello.clone();
    other_name.name = "another".into();
    assert!(matches!(
        verify_outputs(&other_name, lookup),
        Err(VerifyError::Path { .. })
    ));

    let unknown = verify_outputs(hello, |_| None).unwrap_err();
    assert_eq!(unknown.to_string(), "the output paths cannot be computed");
}
