//! Both representations, against each other and against another reader.

use super::{Sexp, SexpError};
use proptest::prelude::*;

#[test]
fn both_forms_are_one_value() {
    let expected = Sexp::list([
        Sexp::atom("a"),
        Sexp::list([Sexp::atom("q"), Sexp::atom([0x4a, 0x00])]),
    ]);
    assert_eq!(Sexp::parse(b"(1:a(1:q2:J\0))").unwrap(), expected);
    assert_eq!(Sexp::parse(b"(a \n (q #4A00#)\n )\n").unwrap(), expected);
    assert_eq!(Sexp::parse(b"(\"a\" (q #4a 00#))").unwrap(), expected);
    assert_eq!(Sexp::parse_canonical(b"(1:a(1:q2:J\0))").unwrap(), expected);
    assert!(Sexp::parse_canonical(b"(a (q #4A00#))").is_err());
    assert!(Sexp::parse_canonical(b"(1:a (1:q2:J\0))").is_err());
}

#[test]
fn atoms_are_printed_as_libgcrypt_does() {
    for (bytes, printed) in [
        (&b"Ed25519"[..], "Ed25519\n"),
        (b"1a", "\"1a\"\n"),
        (b"a b", "\"a b\"\n"),
        (b"", "\"\"\n"),
        (b"a\"'\\\n", "\"a\\\"\\'\\\\\\n\"\n"),
        (b"\x08a", "\"\\ba\"\n"),
        (b"\0a", "#0061#\n"),
        (b"\x80a", "#8061#\n"),
        (b"a\x01", "#6101#\n"),
        (b"a\x9f", "#619F#\n"),
    ] {
        assert_eq!(Sexp::atom(bytes).to_advanced(), printed.as_bytes());
    }
    assert_eq!(Sexp::atom(b"a\xa1").to_advanced(), b"\"a\xa1\"\n");
}

#[test]
fn bad_expressions_say_where() {
    for bad in [
        &b""[..],
        b"(",
        b")",
        b"(a",
        b"(a))",
        b"(a)(b)",
        b"(5:abc)",
        b"(99999999999999999999999:a)",
        b"(01:a)",
        b"(00:)",
        b"(#4#)",
        b"(#4Z#)",
        b"(#4",
        b"([hint]a)",
        b"{KGEp}",
        b"(|YQ==|)",
        b"(\"a)",
        b"(\"\\q\")",
        b"(\"a\nb\")",
        b"(2#4142#)",
    ] {
        assert!(Sexp::parse(bad).is_err(), "{}", bad.escape_ascii());
    }
    let expected = "nothing more";
    assert_eq!(
        Sexp::parse(b"(a) b"),
        Err(SexpError::Expected {
            offset: 4,
            expected
        })
    );
}

#[test]
fn limits() {
    let deep = |n: usize| [vec![b'('; n], vec![b')'; n]].concat();
    assert!(Sexp::parse(&deep(Sexp::MAX_DEPTH)).is_ok());
    let error = Sexp::parse(&deep(Sexp::MAX_SIZE / 2));
    assert_eq!(error, Err(SexpError::Depth(Sexp::MAX_DEPTH)));
    assert!(Sexp::parse(&vec![b'a'; Sexp::MAX_SIZE]).is_ok());
    let error = Sexp::parse(&vec![b'a'; Sexp::MAX_SIZE + 1]);
    assert_eq!(error, Err(SexpError::Size(Sexp::MAX_SIZE + 1)));
}

fn any_sexp() -> impl Strategy<Value = Sexp> {
    let atom = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        "[a-z0-9:.+ \"\\\\'\n-]{0,12}".prop_map(String::into_bytes),
        proptest::collection::vec(0x20u8.., 0..8),
    ]
    .prop_map(Sexp::Atom);
    atom.prop_recursive(6, 40, 6, |inner| {
        proptest::collection::vec(inner, 0..6).prop_map(Sexp::List)
    })
}

fn from_oracle(value: csexpr::Sexp) -> Sexp {
    match value {
        csexpr::Sexp::Atom(atom) => Sexp::atom(atom.data()),
        csexpr::Sexp::List(items) => Sexp::list(items.into_iter().map(from_oracle)),
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(value in any_sexp()) {
        prop_assert_eq!(&Sexp::parse(&value.to_advanced()).unwrap(), &value);
        prop_assert_eq!(&Sexp::parse_canonical(&value.to_canonical()).unwrap(), &value);
        let other = csexpr::decode::parse_canonical(&value.to_canonical()).unwrap();
        prop_assert_eq!(from_oracle(other), value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = Sexp::parse(&bytes) {
            prop_assert_eq!(Sexp::parse(&value.to_advanced()).unwrap(), value);
        }
    }

    /// What both readers read, they read alike.
    #[test]
    fn the_other_reader_agrees(text in "[()ab0-9:#F\" \n]{0,30}") {
        let ours = Sexp::parse(text.as_bytes());
        if let (Ok(ours), Ok(other)) = (ours, csexpr::decode::parse(text.as_bytes())) {
            prop_assert_eq!(from_oracle(other), ours);
        }
    }
}
