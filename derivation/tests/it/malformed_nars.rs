//! What is no nar, and what we say about it; what an encoder refuses to write.

use crate::fixtures::read;
use crate::nars::recode;
use grange_derivation::nar::{Encoder, Error, MAX_DEPTH, NarDigest};
use std::io::ErrorKind;

/// A nar from its strings.
fn nar(strings: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for string in strings {
        bytes.extend_from_slice(&(string.len() as u64).to_le_bytes());
        bytes.extend_from_slice(string);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

/// `regular contents "" )` and `)` of the entry around it.
const FILE: [&[u8]; 8] = [
    b"node",
    b"(",
    b"type",
    b"regular",
    b"contents",
    b"",
    b")",
    b")",
];

/// A directory of empty files.
fn directory(names: &[&[u8]]) -> Vec<u8> {
    let mut strings: Vec<&[u8]> = vec![b"nix-archive-1", b"(", b"type", b"directory"];
    for name in names {
        strings.extend_from_slice(&[b"entry", b"(", b"name", name]);
        strings.extend_from_slice(&FILE);
    }
    strings.push(b")");
    nar(&strings)
}

fn root(rest: &[&[u8]]) -> Vec<u8> {
    nar(&[&[b"nix-archive-1".as_slice(), b"(", b"type"], rest].concat())
}

fn error(bytes: &[u8]) -> String {
    let found = recode(bytes, usize::MAX).unwrap_err();
    for piece in [1, 3, 8, 50] {
        assert_eq!(
            recode(bytes, piece).unwrap_err(),
            found,
            "in pieces of {piece}"
        );
    }
    let mut digest = NarDigest::new();
    assert_eq!(
        digest.update(bytes).and_then(|()| digest.finish()),
        Err(found.clone())
    );
    let text = found.to_string();
    text.strip_prefix("not a nar: ").unwrap_or(&text).to_owned()
}

#[test]
fn each_has_its_message() {
    assert!(recode(&directory(&[b"a", b"b"]), 5).is_ok());
    let mut bad_padding = root(&[b"symlink", b"target", b"abc", b")"]);
    let at = bad_padding.iter().rposition(|byte| *byte == b'c').unwrap() + 3;
    bad_padding[at] = 1;
    let mut bad_file_padding = root(&[b"regular", b"contents", b"abc", b")"]);
    let at = bad_file_padding.len() - 17;
    bad_file_padding[at] = 1;
    let mut huge = root(&[b"regular", b"contents"]);
    huge.extend_from_slice(&u64::MAX.to_le_bytes());
    let mut long_name = root(&[b"directory", b"entry", b"(", b"name"]);
    long_name.extend_from_slice(&256u64.to_le_bytes());
    let mut long_target = root(&[b"symlink", b"target"]);
    long_target.extend_from_slice(&(1u64 << 40).to_le_bytes());
    let trailing = [directory(&[]), vec![0; 8]].concat();
    let cases: [(Vec<u8>, &str); 24] = [
        (
            vec![],
            "it ends at byte 0, where there should be `nix-archive-1`, `(` and `type`",
        ),
        (
            b"nix".to_vec(),
            "at byte 0 there should be `nix-archive-1`, `(` and `type`",
        ),
        (
            nar(&[b"nix-archive-2"]),
            "at byte 20 there should be `nix-archive-1`, `(` and `type`",
        ),
        (
            root(&[b"fifo", b")"]),
            "at byte 56 there should be `regular`, `symlink` or `directory`",
        ),
        (
            root(&[b"directorY", b")"]),
            "at byte 72 there should be `regular`, `symlink` or `directory`",
        ),
        (
            root(&[b"regular", b")"]),
            "at byte 72 there should be `executable` or `contents`",
        ),
        (
            root(&[b"regular", b"executable", b"x"]),
            "at byte 96 there should be `executable`, an empty string and `contents`",
        ),
        (
            root(&[b"regular", b"contents", b"", b"("]),
            "at byte 104 there should be `)`",
        ),
        (
            root(&[b"directory", b"name"]),
            "at byte 80 there should be `entry` or `)`",
        ),
        (
            directory(&[b"a", b"a"]),
            "at byte 328, entry `a` does not sort after `a`",
        ),
        (
            directory(&[b"b", b"a"]),
            "at byte 328, entry `a` does not sort after `b`",
        ),
        (
            directory(&[b"\xff", b"a"]),
            "at byte 328, entry `a` does not sort after `\\xff`",
        ),
        (
            directory(&[b""]),
            "`` at byte 136 cannot be the name of an entry",
        ),
        (
            directory(&[b"."]),
            "`.` at byte 144 cannot be the name of an entry",
        ),
        (
            directory(&[b".."]),
            "`..` at byte 144 cannot be the name of an entry",
        ),
        (
            directory(&[b"a/b"]),
            "`a/b` at byte 144 cannot be the name of an entry",
        ),
        (
            directory(&[b"a\0"]),
            "`a\\x00` at byte 144 cannot be the name of an entry",
        ),
        (
            long_name,
            "the name at byte 128 has 256 bytes, more than 255",
        ),
        (
            long_target,
            "the target at byte 88 has 1099511627776 bytes, more than 4095",
        ),
        (
            root(&[b"symlink", b"target", b"", b")"]),
            "the symbolic link's target before byte 96 is empty or contains a zero byte",
        ),
        (bad_padding, "the padding before byte 104 is not zero"),
        (bad_file_padding, "the padding before byte 104 is not zero"),
        (
            huge,
            "the file at byte 88 is said to have 18446744073709551615 bytes",
        ),
        (trailing, "it ended at byte 96, but more bytes follow"),
    ];
    let mut wrong = Vec::new();
    for (bytes, expected) in &cases {
        let found = error(bytes);
        if found != *expected {
            wrong.push(format!(
                "{}\n  found    {found}\n  expected {expected}",
                bytes.escape_ascii()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        let mut strings: Vec<&[u8]> = vec![b"nix-archive-1", b"(", b"type", b"directory"];
        for _ in 1..depth {
            strings.extend_from_slice(&[
                b"entry",
                b"(",
                b"name",
                b"d",
                b"node",
                b"(",
                b"type",
                b"directory",
            ]);
        }
        for _ in 1..depth {
            strings.extend_from_slice(&[b")", b")"]);
        }
        strings.push(b")");
        nar(&strings)
    };
    assert!(recode(&nested(MAX_DEPTH), 4096).is_ok());
    assert!(matches!(
        recode(&nested(MAX_DEPTH + 1), 4096),
        Err(Error::Depth { .. })
    ));
}

#[test]
fn cut_anywhere_it_is_an_error() {
    for name in ["tree", "one", "dir", "multi-lib"] {
        let bytes = read(&format!("nar-vectors/{name}.nar"));
        for end in 0..bytes.len() {
            let found = recode(&bytes[..end], 11).unwrap_err();
            assert!(
                matches!(found, Error::Truncated { offset, .. } if offset == end as u64),
                "{name} cut at {end}: {found}"
            );
        }
    }
}

#[test]
fn every_byte_changed_is_an_error_or_another_nar() {
    let bytes = read("nar-vectors/tree.nar");
    for at in 0..bytes.len() {
        for flip in [1, 0x20, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            if let Ok(again) = recode(&changed, usize::MAX) {
                assert!(again == changed, "byte {at} changed by {flip}");
            }
        }
    }
}

#[test]
fn what_an_encoder_refuses() {
    type Steps = fn(&mut Encoder<Vec<u8>>) -> std::io::Result<()>;
    let cases: [(&str, Steps); 12] = [
        ("an entry cannot be written at this place of a nar", |e| {
            e.entry(b"a")
        }),
        (
            "the end of a directory cannot be written at this place of a nar",
            |e| e.end_directory(),
        ),
        ("a file cannot be written at this place of a nar", |e| {
            e.directory().and_then(|()| e.regular(false, 0))
        }),
        (
            "a directory cannot be written at this place of a nar",
            |e| e.symlink(b"a").and_then(|()| e.directory()),
        ),
        (
            "not a nar: `..` at byte 80 cannot be the name of an entry",
            |e| e.directory().and_then(|()| e.entry(b"..")),
        ),
        (
            "not a nar: at byte 264, entry `a` does not sort after `b`",
            |e| {
                e.directory()?;
                e.entry(b"b")?;
                e.regular(false, 0)?;
                e.entry(b"a")
            },
        ),
        (
            "not a nar: the name at byte 80 has 256 bytes, more than 255",
            |e| e.directory().and_then(|()| e.entry(&[b'a'; 256])),
        ),
        (
            "not a nar: the target at byte 56 has 4096 bytes, more than 4095",
            |e| e.symlink(&[b'a'; 4096]),
        ),
        (
            "not a nar: the symbolic link's target before byte 56 is empty or contains a zero byte",
            |e| e.symlink(b""),
        ),
        (
            "the file was said to have more bytes than it was given, or fewer: 1 are left, 2 were given",
            |e| e.regular(false, 1).and_then(|()| e.data(b"ab")),
        ),
        (
            "the file was said to have more bytes than it was given, or fewer: 0 are left, 1 were given",
            |e| e.regular(false, 0).and_then(|()| e.data(b"a")),
        ),
        (
            "a symbolic link cannot be written at this place of a nar",
            |e| e.regular(false, 1).and_then(|()| e.symlink(b"a")),
        ),
    ];
    for (expected, steps) in cases {
        let found = steps(&mut Encoder::new(Vec::new())).unwrap_err();
        assert_eq!(
            (found.kind(), found.to_string().as_str()),
            (ErrorKind::InvalidInput, expected)
        );
    }
    assert!(Encoder::new(Vec::new()).finish().is_err());
    let mut short = Encoder::new(Vec::new());
    short.regular(false, 3).unwrap();
    assert_eq!(
        short.contents(&mut b"ab".as_slice()).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
}
