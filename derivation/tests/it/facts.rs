//! What Guix says about its own derivations, and the comparison with what we read.

use crate::fixtures::read;
use grange_derivation::{Derivation, DerivationHash, Hash, StoreDir, StorePath, nar, paths};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    pub(crate) file: String,
    pub(crate) path: String,
    name: String,
    system: String,
    builder: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    outputs: Vec<OutputFacts>,
    inputs: Vec<InputFacts>,
    sources: Vec<String>,
    fixed_output: bool,
    offloadable: bool,
    substitutable: bool,
    properties: String,
    pub(crate) derivation_hash: String,
    pub(crate) masked_hash: Option<String>,
    file_sha256: String,
    nar_sha256: String,
    nar_size: u64,
    references: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputFacts {
    name: String,
    path: String,
    hash_algo: Option<String>,
    hash: Option<String>,
    recursive: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputFacts {
    drv: String,
    outputs: Vec<String>,
    output_paths: Vec<String>,
}

/// The facts of one directory, and the derivations as we parse them.
pub(crate) struct Samples {
    pub(crate) facts: Vec<Facts>,
    pub(crate) derivations: BTreeMap<StorePath, (Derivation, Vec<u8>)>,
}

pub(crate) fn samples(directory: &str) -> Samples {
    let lines = match directory {
        "hello-closure" => zstd::decode_all(&*read("hello-closure/facts.jsonl.zst")).unwrap(),
        _ => read(&format!("{directory}/facts.jsonl")),
    };
    let facts: Vec<Facts> = String::from_utf8(lines)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let derivations = facts.iter().map(|facts| {
        let text = read(&format!("{directory}/{}", facts.file));
        let path = StorePath::from_base_name(&StoreDir::guix(), &facts.file).unwrap();
        let derivation = Derivation::parse(path.store(), path.derivation_name().unwrap(), &text);
        (
            path,
            (
                derivation.unwrap_or_else(|error| panic!("{}: {error}", facts.file)),
                text,
            ),
        )
    });
    let derivations = derivations.collect();
    Samples { facts, derivations }
}

impl Samples {
    pub(crate) fn derivation(&self, facts: &Facts) -> (&StorePath, &Derivation, &[u8]) {
        let path = StorePath::parse_any(&facts.path).unwrap();
        let (path, (derivation, text)) = self.derivations.get_key_value(&path).unwrap();
        (path, derivation, text)
    }
}

/// The hashes that stand for derivations, as Guix says.
pub(crate) fn known_hashes(samples: &[&Samples]) -> HashMap<StorePath, DerivationHash> {
    let all = samples.iter().flat_map(|samples| &samples.facts);
    all.map(|facts| {
        let hash = Hash::parse_any(&format!("sha256:{}", facts.derivation_hash)).unwrap();
        (
            StorePath::parse_any(&facts.path).unwrap(),
            DerivationHash(hash.to_sha256().unwrap()),
        )
    })
    .collect()
}

/// Compares every field that does not take other derivations.
pub(crate) fn compare(samples: &Samples, facts: &Facts) {
    let (path, derivation, text) = samples.derivation(facts);
    let at = &facts.file;
    let strings = |list: &[Vec<u8>]| list.iter().map(|bytes| utf8(bytes)).collect::<Vec<_>>();
    assert_eq!(path.to_string(), facts.path, "{at}");
    assert_eq!(path.base_name(), facts.file);
    assert_eq!(&*derivation.name, facts.name, "{at}");
    assert_eq!(utf8(&derivation.system), facts.system, "{at}");
    assert_eq!(utf8(&derivation.builder), facts.builder, "{at}");
    assert_eq!(strings(&derivation.args), facts.args, "{at}");
    let env: Vec<_> = derivation
        .env
        .iter()
        .map(|(name, value)| (utf8(name), utf8(value)))
        .collect();
    assert_eq!(env, facts.env, "{at}");
    let sources: Vec<_> = derivation
        .input_sources
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(sources, facts.sources, "{at}");
    let references: Vec<_> = derivation
        .references()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(references, facts.references, "{at}");

    assert_eq!(derivation.outputs.len(), facts.outputs.len(), "{at}");
    for ((name, output), facts) in derivation.outputs.iter().zip(&facts.outputs) {
        assert_eq!(name, facts.name.as_str(), "{at}");
        assert_eq!(output.path.to_string(), facts.path, "{at}");
        let fixed = output.fixed.as_ref();
        assert_eq!(
            fixed.map(|fixed| fixed.algo().name()),
            facts.hash_algo.as_deref(),
            "{at}"
        );
        assert_eq!(
            fixed.map(|fixed| fixed.hash.to_base16()),
            facts.hash,
            "{at}"
        );
        assert_eq!(
            fixed.is_some_and(|fixed| fixed.recursive),
            facts.recursive,
            "{at}"
        );
    }
    assert_eq!(
        derivation.fixed_output().is_some(),
        facts.fixed_output,
        "{at}"
    );

    assert_eq!(
        derivation.input_derivations.len(),
        facts.inputs.len(),
        "{at}"
    );
    for ((path, outputs), facts) in derivation.input_derivations.iter().zip(&facts.inputs) {
        assert_eq!(path.to_string(), facts.drv, "{at}");
        let names: Vec<_> = outputs.iter().map(ToString::to_string).collect();
        assert_eq!(names, facts.outputs, "{at}");
        if let Some((input, _)) = samples.derivations.get(path) {
            let paths: Vec<_> = names
                .iter()
                .map(|name| input.outputs[name.as_str()].path.to_string())
                .collect();
            assert_eq!(paths, facts.output_paths, "{at}");
        }
    }

    let options = derivation.options().unwrap();
    assert_eq!(!options.prefer_local_build, facts.offloadable, "{at}");
    assert_eq!(options.allow_substitutes, facts.substitutable, "{at}");
    assert_eq!(
        derivation
            .env("guix properties")
            .map_or_else(|| "()".to_owned(), utf8),
        facts.properties,
        "{at}"
    );

    assert_eq!(Hash::sha256(text).to_base16(), facts.file_sha256, "{at}");
    assert!(derivation.print() == text, "{at} is printed differently");
    assert_eq!(derivation.path().unwrap(), *path, "{at}");
    assert_eq!(derivation.path_of_text(text).unwrap(), *path, "{at}");
    let mut encoder = nar::Encoder::new(Vec::new());
    encoder.regular(false, text.len() as u64).unwrap();
    encoder.data(text).unwrap();
    let (archive, size) = encoder.finish().unwrap();
    assert_eq!(size, facts.nar_size, "{at}");
    assert_eq!(Hash::sha256(&archive).to_base32(), facts.nar_sha256, "{at}");
}

/// Compares the output paths with those that follow from Guix's own masked hash.
pub(crate) fn compare_masked(samples: &Samples, facts: &Facts) {
    let (_, derivation, _) = samples.derivation(facts);
    assert_eq!(facts.masked_hash.is_none(), facts.fixed_output);
    let Some(masked) = &facts.masked_hash else {
        return;
    };
    let masked = Hash::parse_any(&format!("sha256:{masked}"))
        .unwrap()
        .to_sha256()
        .unwrap();
    for (name, output) in &derivation.outputs {
        let path = paths::output_path(&derivation.store, &derivation.name, name, &masked).unwrap();
        assert_eq!(path, output.path, "{}", facts.file);
    }
}

/// Guile reads what is not UTF-8 as Latin-1.
fn utf8(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(
        |_| bytes.iter().copied().map(char::from).collect(),
        str::to_owned,
    )
}
