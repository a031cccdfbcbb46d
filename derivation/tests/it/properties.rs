//! Laws that hold for everything.

use crate::nars::recode;
use grange_derivation::{
    Derivation, FixedOutput, Hash, HashAlgo, Output, OutputName, StoreDir, StorePath, base32, nar,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(
            proptest::sample::select(b"\"\\\n\r\tn a,()[]".to_vec()),
            0..40
        )
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9+_?=-][a-zA-Z0-9+._?=-]{0,30}"
}

fn path(suffix: &'static str) -> impl Strategy<Value = StorePath> {
    (any::<[u8; 20]>(), name()).prop_map(move |(digest, name)| {
        StorePath::new(&StoreDir::guix(), digest, &(name + suffix)).unwrap()
    })
}

fn output_name() -> impl Strategy<Value = OutputName> {
    prop_oneof![
        Just(OutputName::out()),
        "[a-z]{1,5}".prop_map(|name| OutputName::new(name).unwrap())
    ]
}

fn fixed() -> impl Strategy<Value = FixedOutput> {
    let hash = proptest::sample::select(HashAlgo::ALL.to_vec()).prop_flat_map(|algo| {
        vec(any::<u8>(), algo.size()).prop_map(move |bytes| Hash::new(algo, &bytes).unwrap())
    });
    (any::<bool>(), hash).prop_map(|(recursive, hash)| FixedOutput { recursive, hash })
}

fn outputs() -> impl Strategy<Value = BTreeMap<OutputName, Output>> {
    let plain = btree_map(
        output_name(),
        path("").prop_map(|path| Output { path, fixed: None }),
        1..4,
    );
    let fixed = (path(""), fixed()).prop_map(|(path, fixed)| {
        BTreeMap::from([(
            OutputName::out(),
            Output {
                path,
                fixed: Some(fixed),
            },
        )])
    });
    prop_oneof![plain, fixed]
}

prop_compose! {
    fn derivation()(
        name in name(),
        outputs in outputs(),
        input_derivations in btree_map(path(".drv"), btree_set(output_name(), 1..4), 0..5),
        input_sources in btree_set(path(""), 0..5),
        system in bytes(),
        builder in bytes(),
        args in vec(bytes(), 0..4),
        env in btree_map(bytes(), bytes(), 0..6),
    ) -> Derivation {
        let store = StoreDir::guix();
        Derivation {
            store, name: name.into(), outputs, input_derivations, input_sources, system, builder, args, env,
        }
    }
}

/// A tree of files.
#[derive(Debug, Clone)]
enum Node {
    File(bool, Vec<u8>),
    Link(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Self>),
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        (any::<bool>(), vec(any::<u8>(), 0..50))
            .prop_map(|(executable, contents)| Node::File(executable, contents)),
        vec(1..=255u8, 1..30).prop_map(Node::Link),
    ];
    let entry_name = vec(
        (1..=255u8).prop_filter("no slash", |byte| *byte != b'/'),
        1..20,
    )
    .prop_filter("no dots", |name| !matches!(name.as_slice(), b"." | b".."));
    leaf.prop_recursive(5, 40, 6, move |node| {
        btree_map(entry_name.clone(), node, 0..6).prop_map(Node::Directory)
    })
}

fn encode(encoder: &mut nar::Encoder<Vec<u8>>, node: &Node) -> std::io::Result<()> {
    match node {
        Node::File(executable, contents) => {
            encoder.regular(*executable, contents.len() as u64)?;
            encoder.data(contents)
        }
        Node::Link(target) => encoder.symlink(target),
        Node::Directory(entries) => {
            encoder.directory()?;
            for (name, node) in entries {
                encoder.entry(name)?;
                encode(encoder, node)?;
            }
            encoder.end_directory()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn derivations_are_read_as_printed(derivation in derivation()) {
        let text = derivation.print();
        let read = Derivation::parse(&derivation.store, &derivation.name, &text);
        prop_assert_eq!(read, Ok(derivation));
    }

    #[test]
    fn damaged_derivations_never_panic(derivation in derivation(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = derivation.print();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(read) = Derivation::parse(&derivation.store, &derivation.name, &text) {
            prop_assert_eq!(read.print(), text);
        }
    }

    #[test]
    fn anything_is_parsed_without_panic(text in vec(any::<u8>(), 0..200)) {
        let _ = Derivation::parse(&StoreDir::nix(), "x", &text);
        let _ = StorePath::parse_any(&text);
        let _ = recode(&text, 7);
        let _ = Hash::parse_any(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn nars_are_decoded_as_encoded(node in node(), piece in 1..300usize) {
        let mut encoder = nar::Encoder::new(Vec::new());
        encode(&mut encoder, &node).unwrap();
        let (bytes, size) = encoder.finish().unwrap();
        prop_assert_eq!(size, bytes.len() as u64);
        prop_assert_eq!(recode(&bytes, piece).unwrap(), bytes);
    }

    #[test]
    fn nars_are_packed_as_unpacked(node in node()) {
        let mut encoder = nar::Encoder::new(Vec::new());
        encode(&mut encoder, &node).unwrap();
        let (bytes, _) = encoder.finish().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("to");
        nar::unpack(&mut bytes.as_slice(), &to).unwrap();
        let mut packed = Vec::new();
        nar::pack(&to, &mut packed).unwrap();
        prop_assert_eq!(packed, bytes);
    }

    #[test]
    fn base_32_is_decoded_as_encoded(bytes in vec(any::<u8>(), 0..70)) {
        prop_assert_eq!(base32::decode(base32::encode(&bytes), bytes.len()), Ok(bytes));
    }

    #[test]
    fn base_32_texts_have_one_meaning(text in "[0-9a-df-np-su-z]{0,60}", len in 0..40usize) {
        if let Ok(bytes) = base32::decode(&text, len) {
            prop_assert_eq!(base32::encode(&bytes), text);
        }
    }

    #[test]
    fn digests_are_encoded_as_bytes_are(digest in any::<[u8; 20]>()) {
        let text = base32::encode(&digest);
        prop_assert_eq!(text.as_bytes(), base32::encode_digest(&digest));
        prop_assert_eq!(base32::decode_digest(text.as_bytes()), Ok(digest));
    }

    #[test]
    fn hashes_are_read_in_all_notations(fixed in fixed()) {
        let hash = fixed.hash;
        for text in [hash.to_base16(), hash.to_base32()] {
            prop_assert_eq!(Hash::parse(hash.algo(), &text), Ok(hash));
        }
        prop_assert_eq!(Hash::parse_any(&hash.to_sri()), Ok(hash));
        prop_assert_eq!(Hash::parse_any(&hash.to_string()), Ok(hash));
    }

    #[test]
    fn paths_sort_as_their_texts(one in path(""), other in path("")) {
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
        prop_assert_eq!(StorePath::parse_any(one.to_string()), Ok(one));
    }
}
