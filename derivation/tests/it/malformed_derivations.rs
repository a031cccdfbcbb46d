//! What is no derivation, and what we say about it.

use crate::fixtures::read;
use grange_derivation::{Derivation, ParseErrorKind as Kind, StoreDir};

const OUT: &str = r#"("out","/nix/store/00000000000000000000000000000000-x","","")"#;
const DRV_A: &str = r#"("/nix/store/00000000000000000000000000000000-a.drv",["out"])"#;
const DRV_B: &str = r#"("/nix/store/10000000000000000000000000000000-b.drv",["out"])"#;
const SOURCE_A: &str = r#""/nix/store/00000000000000000000000000000000-a""#;
const SOURCE_B: &str = r#""/nix/store/10000000000000000000000000000000-b""#;

fn text(outputs: &str, inputs: &str, sources: &str, args: &str, env: &str) -> String {
    format!(r#"Derive([{outputs}],[{inputs}],[{sources}],"x","/bin/sh",[{args}],[{env}])"#)
}

fn error(text: &str) -> String {
    let error = Derivation::parse(&StoreDir::nix(), "x", text.as_bytes()).expect_err(text);
    let text = error.to_string();
    text.strip_prefix("not a derivation that can be built: ")
        .unwrap()
        .to_owned()
}

#[test]
fn well_formed() {
    let text = text(
        OUT,
        &format!("{DRV_A},{DRV_B}"),
        &format!("{SOURCE_A},{SOURCE_B}"),
        r#""-c""#,
        r#"("a","1"),("b","2")"#,
    );
    let derivation = Derivation::parse(&StoreDir::nix(), "x", text.as_bytes()).unwrap();
    assert_eq!(derivation.print(), text.as_bytes());
}

#[test]
fn each_has_its_message() {
    let fixed = |method: &str, hash: &str| {
        text(
            &format!(
                r#"("out","/nix/store/00000000000000000000000000000000-x","{method}","{hash}")"#
            ),
            "",
            "",
            "",
            "",
        )
    };
    let zeros = "0".repeat(64);
    let of_output = |output: &str| text(output, "", "", "", "");
    let of_input = |input: &str| text(OUT, input, "", "", "");
    let of_source = |source: &str| text(OUT, "", source, "", "");
    let of_arg = |arg: &str| text(OUT, "", "", arg, "");
    let of_env = |env: &str| text(OUT, "", "", "", env);
    let cases = [
        (String::new(), "at byte 0, the text ends"),
        ("Derived([".into(), "at byte 0, there should be `Derive(`"),
        (
            "DrvWithVersion(\"xp-dyn-drv\",".into(),
            "at byte 0, the derivation is in the format of dynamic derivations, which is not supported",
        ),
        (
            of_output(OUT) + "\n",
            "at byte 97, the text goes on after its end",
        ),
        (of_output(""), "at byte 7, the derivation has no output"),
        (
            of_output(&OUT.replace("(\"out\"", "( \"out\"")),
            "at byte 9, there should be `\"`",
        ),
        (
            of_output(&OUT.replace("\"\")", "\"\",\"\")")),
            "at byte 68, there should be `)`",
        ),
        (
            of_output(&OUT.replace("out", "o/ut")),
            "at byte 9, an output's name is not valid",
        ),
        (
            of_output(&OUT.replace("out", "")),
            "at byte 9, an output's name is not valid",
        ),
        (
            of_output(&OUT.replace("/nix", "/gnu")),
            "at byte 15, a store path is not valid",
        ),
        (
            of_output(&OUT.replace("-x", "-")),
            "at byte 15, a store path is not valid",
        ),
        (
            of_output(&OUT.replace("0000-x", "000-x")),
            "at byte 15, a store path is not valid",
        ),
        (
            of_output(&format!("{OUT},{OUT}")),
            "at byte 70, outputs contain a duplicate",
        ),
        (
            of_output(&format!("{OUT},{}", OUT.replace("out", "lib"))),
            "at byte 70, outputs are not sorted",
        ),
        (
            of_output(r#"("out","","","")"#),
            "at byte 9, output `out` has no path (it depends on a floating output), which is not supported",
        ),
        (
            of_output(r#"("out","","r:sha256","")"#),
            "at byte 9, output `out` is floating (content-addressed without a hash), which is not supported",
        ),
        (
            of_output(r#"("out","","r:sha256","impure")"#),
            "at byte 9, output `out` is impure, which is not supported",
        ),
        (
            fixed("", &zeros),
            "at byte 9, output `out` has a hash but no algorithm",
        ),
        (
            fixed("sha257", &zeros),
            "at byte 63, `sha257` is not a hash algorithm that is supported",
        ),
        (
            fixed("text:sha256", &zeros),
            "at byte 63, `text:sha256` is not a hash algorithm that is supported",
        ),
        (
            fixed("sha256", &zeros[1..]),
            "at byte 72, a hash is not valid",
        ),
        (
            fixed("sha256", &zeros.replace('0', "A")),
            "at byte 72, a hash is not valid",
        ),
        (
            fixed("sha256", &zeros[..52]),
            "at byte 72, a sha256 hash is not in base 16",
        ),
        (fixed("sha1", &zeros), "at byte 70, a hash is not valid"),
        (
            fixed("sha256", &zeros).replace("\"out\"", "\"lib\""),
            "at byte 7, a fixed output must be the only one, and named `out`",
        ),
        (
            of_input(&format!("{DRV_B},{DRV_A}")),
            "at byte 134, input derivations are not sorted",
        ),
        (
            of_input(&format!("{DRV_A},{DRV_A}")),
            "at byte 134, input derivations contain a duplicate",
        ),
        (
            of_input(&DRV_A.replace(".drv", "")),
            "at byte 73, an input derivation's path does not end in `.drv`",
        ),
        (
            of_input(&DRV_A.replace("\"out\"", "")),
            "at byte 125, an input derivation is there without outputs",
        ),
        (
            of_input(&DRV_A.replace("\"out\"", "\"out\",\"lib\"")),
            "at byte 132, outputs of an input derivation are not sorted",
        ),
        (
            of_input(&DRV_A.replace("[\"out\"]", "([\"out\"],[])")),
            "at byte 125, the derivation is in the format of dynamic derivations, which is not supported",
        ),
        (
            of_source(&format!("{SOURCE_B},{SOURCE_A}")),
            "at byte 123, input sources are not sorted",
        ),
        (
            of_source(&format!("{SOURCE_A},{SOURCE_A}")),
            "at byte 123, input sources contain a duplicate",
        ),
        (
            of_source(&format!("{SOURCE_A},")),
            "at byte 123, there should be `\"`",
        ),
        (
            of_source(r#""/nix/store/00000000000000000000000000000000-a/b""#),
            "at byte 75, a store path is not valid",
        ),
        (of_arg("\"a\nb\""), "at byte 94, `\\n` must be escaped"),
        (of_arg("\"a\tb\""), "at byte 94, `\\t` must be escaped"),
        (of_arg("\"a\rb\""), "at byte 94, `\\r` must be escaped"),
        (
            of_arg(r#""a\b""#),
            "at byte 94, `\\b` is not an escape that derivations have",
        ),
        (
            of_arg(r#""\n\'""#),
            "at byte 95, `\\\\'` is not an escape that derivations have",
        ),
        (of_arg("a"), "at byte 92, there should be `\"`"),
        (
            of_env(r#"("b",""),("a","")"#),
            "at byte 104, environment variables are not sorted",
        ),
        (
            of_env(r#"("a",""),("a","1")"#),
            "at byte 104, environment variables contain a duplicate",
        ),
        (of_env(r#"("a","","")"#), "at byte 102, there should be `)`"),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in &cases {
        let found = error(text);
        if found != *expected {
            wrong.push(format!("{text}\n  found    {found}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bad_names_are_refused() {
    let text = text(OUT, "", "", "", "");
    for name in ["", ".x", "a b", "a/b", &"x".repeat(212)] {
        let error = Derivation::parse(&StoreDir::nix(), name, text.as_bytes()).unwrap_err();
        assert!(matches!(error.kind, Kind::DerivationName(_)), "{name}");
    }
}

#[test]
fn the_cause_is_the_source() {
    use std::error::Error as _;
    let text = text(&OUT.replace("-x", "-x y"), "", "", "", "");
    let error = Derivation::parse(&StoreDir::nix(), "x", text.as_bytes()).unwrap_err();
    let cause = error.source().unwrap();
    assert_eq!(
        cause.to_string(),
        "`/nix/store/00000000000000000000000000000000-x y` has no valid name"
    );
    assert_eq!(
        cause.source().unwrap().to_string(),
        "` ` at byte 1 may not be in a name"
    );
}

#[test]
fn cut_anywhere_it_is_an_error() {
    for (file, name, store) in [
        ("nix-sandbox", "sandbox", StoreDir::nix()),
        ("guix-sandbox", "sandbox", StoreDir::guix()),
    ] {
        let text = read(&format!("sandbox-facts/{file}.drv"));
        for end in 0..text.len() {
            let error = Derivation::parse(&store, name, &text[..end]).unwrap_err();
            assert_eq!(
                (error.kind, error.offset <= end),
                (Kind::End, true),
                "cut at {end}"
            );
        }
    }
}

#[test]
fn every_byte_changed_is_an_error_or_printed_the_same() {
    let text = read("sandbox-facts/nix-sandbox.drv");
    for at in 0..text.len() {
        for byte in [
            0, b'"', b'\\', b'\n', b'(', b')', b'[', b']', b',', b'a', 0xff,
        ] {
            let mut changed = text.clone();
            changed[at] = byte;
            if let Ok(derivation) = Derivation::parse(&StoreDir::nix(), "sandbox", &changed) {
                assert!(derivation.print() == changed, "byte {at} set to {byte}");
            }
        }
    }
}
