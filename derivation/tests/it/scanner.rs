//! The scanner against the plainest search there is.

use grange_derivation::{base32, refs::Scanner};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::Write as _;

fn naive(candidates: &[[u8; 20]], bytes: &[u8]) -> BTreeSet<[u8; 20]> {
    let text = |digest: &[u8; 20]| base32::encode(digest).into_bytes();
    candidates
        .iter()
        .copied()
        .filter(|digest| bytes.windows(32).any(|window| window == text(digest)))
        .collect()
}

fn scan(
    candidates: &[[u8; 20]],
    pieces: impl Iterator<Item = impl AsRef<[u8]>>,
) -> BTreeSet<[u8; 20]> {
    let mut scanner = Scanner::new(candidates.iter().copied());
    pieces.for_each(|piece| scanner.push(piece.as_ref()));
    scanner.into_found()
}

#[test]
fn cut_anywhere() {
    let digest = [0xa5; 20];
    let text = format!("0123{}xyz", base32::encode(&digest));
    for piece in 1..=text.len() {
        assert_eq!(
            scan(&[digest], text.as_bytes().chunks(piece)),
            BTreeSet::from([digest]),
            "pieces of {piece}"
        );
    }
    let shorter = &text.as_bytes()[..35];
    for piece in 1..=shorter.len() {
        assert!(scan(&[digest], shorter.chunks(piece)).is_empty());
    }
    assert!(scan(&[], text.as_bytes().chunks(3)).is_empty());
}

#[test]
fn as_a_writer_it_takes_all_that_it_is_given() {
    let digest = [0xa5; 20];
    let text = base32::encode(&digest);
    let (front, back) = text.as_bytes().split_at(11);
    let mut scanner = Scanner::new([digest]);
    assert_eq!(scanner.write(front).unwrap(), 11);
    assert_eq!(scanner.write(back).unwrap(), 21);
    assert_eq!(scanner.into_found(), BTreeSet::from([digest]));
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        "[0-9a-z]{0,80}".prop_map(String::into_bytes),
        "[0-9a-df-np-su-z]{0,80}".prop_map(String::into_bytes),
        (0..4u8, 0..33usize).prop_map(|(which, end)| base32::encode(&candidate(which))
            .into_bytes()[..end.min(32)]
            .to_vec()),
        (0..4u8).prop_map(|which| base32::encode(&candidate(which)).into_bytes()),
    ]
}

/// Alike, so that near misses are likely.
fn candidate(which: u8) -> [u8; 20] {
    let mut digest = [0x11; 20];
    digest[usize::from(which)] ^= which;
    digest
}

proptest! {
    #[test]
    fn finds_what_a_naive_search_finds(parts in proptest::collection::vec(part(), 0..12), piece in 1..100usize) {
        let candidates: Vec<_> = (0..4).map(candidate).collect();
        let bytes = parts.concat();
        prop_assert_eq!(scan(&candidates, bytes.chunks(piece)), naive(&candidates, &bytes));
        prop_assert_eq!(scan(&candidates, parts.iter()), naive(&candidates, &bytes));
    }
}
