//! Builds that go well.

use grange_derivation::{Hash, nar};

use super::workshop::{instantiate, out, write};
use crate::Step;
use crate::conformance::BuilderBench;

/// "Every output of the derivation", and what is in it.
pub async fn a_build_makes_its_outputs(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let steps = [
        write("out", "the first\n"),
        write("doc", ""),
        write("lib", "it's the third"),
    ];
    let author = shop.begin("several", &steps);
    let made = instantiate(author.output("out").output("doc").output("lib"));
    let system = String::from_utf8_lossy(&made.derivation.system).into_owned();
    assert!(
        shop.builder.offers().systems.contains(&system),
        "{system} is not offered"
    );
    let built = shop.build(&made, &[]).await.built();
    let mut names: Vec<_> = built.outputs.iter().map(|output| &*output.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["doc", "lib", "out"]);
    for output in &built.outputs {
        assert_eq!(Some(&output.path), made.output(&output.name));
    }
    for (name, text) in [
        ("out", "the first\n"),
        ("doc", ""),
        ("lib", "it's the third"),
    ] {
        let path = made.output(name).expect("it has one");
        let expected = nar::of_file(text.as_bytes());
        assert!(shop.nar(path).await == expected, "{name} is something else");
    }
}

/// "Their hash and references are computed from what lies in the store."
pub async fn outputs_are_as_they_lie_in_the_store(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let low = shop.make("low", &[write("out", "low")]);
    shop.build(&low, &[]).await.built();
    let refer = |output: &str, to: &str| Step::Refer {
        output: output.into(),
        to: to.into(),
    };
    let text = format!("it needs {}", out(&low));
    let steps = [
        refer("own", "own"),
        refer("out", "lib"),
        write("lib", &text),
    ];
    let author = shop.begin("top", &steps).input(&low, &["out"]);
    let top = instantiate(author.output("out").output("lib").output("own"));
    let built = shop.build(&top, &[&low]).await.built();
    for output in &built.outputs {
        let found = shop.store.query(std::slice::from_ref(&output.path)).await;
        let found = found.expect("it answers").remove(0).expect("it is valid");
        assert_eq!(found.nar_hash, output.nar_hash, "{}", output.name);
        assert_eq!(found.nar_size, output.nar_size, "{}", output.name);
        assert_eq!(found.references, output.references, "{}", output.name);
        let nar = shop.nar(&output.path).await;
        assert_eq!(Some(output.nar_hash.0), Hash::sha256(&nar).to_sha256());
        assert_eq!(output.nar_size, nar.len() as u64);
        let expected = match &*output.name {
            "own" => top.output("own"),
            "out" => top.output("lib"),
            _ => low.output("out"),
        };
        let expected: Vec<_> = expected.into_iter().cloned().collect();
        assert_eq!(output.references, expected, "{}", output.name);
    }
}

/// "Outputs are canonical (owner, modes, times)", as far as a nar shows it; so are their copies.
pub async fn outputs_are_canonical(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let program = Step::Program {
        output: "out".into(),
        text: "#!/bin/sh\n".into(),
    };
    let low = shop.make("program", &[program]);
    shop.build(&low, &[]).await.built();
    let entries = nar::list(&mut &shop.nar(out(&low)).await[..]).expect("it is a nar");
    let executable = matches!(
        entries[..],
        [nar::Entry {
            kind: nar::Kind::Regular {
                executable: true,
                ..
            },
            ..
        }]
    );
    assert!(executable, "{entries:?}");
    // Another build, by another user, may read it.
    let copy = Step::Copy {
        output: "out".into(),
        from: out(&low).to_string(),
    };
    let copied = instantiate(shop.begin("copy", &[copy]).input(&low, &["out"]));
    shop.build(&copied, &[&low]).await.built();
    assert!(!shop.nar(out(&copied)).await.is_empty());
}

/// An output whose hash is said beforehand, of its contents or of its nar.
pub async fn a_fixed_output_has_its_hash(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    for recursive in [false, true] {
        let text = crate::conformance::local_store::salt();
        let nar = nar::of_file(text.as_bytes());
        let hash = Hash::sha256(if recursive { &nar } else { text.as_bytes() });
        let author = shop.begin("fixed", &[write("out", &text)]);
        let made = instantiate(author.fixed(recursive, hash));
        let built = shop.build(&made, &[]).await.built();
        assert_eq!(built.outputs.len(), 1);
        assert!(shop.nar(out(&made)).await == nar, "something else");
    }
}

/// What the build says comes out of its log: all of it, in order, and before it has ended.
pub async fn what_it_says_arrives(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let odd = "not 'quoted'  \"text\" \\ $out %s @ build-failed ü";
    let steps = [
        Step::Say("the first".into()),
        Step::Say(odd.into()),
        Step::Count(20_000),
        write("out", ""),
        Step::Say("the last".into()),
    ];
    let made = shop.make("says", &steps);
    let outcome = shop.build(&made, &[]).await;
    let numbers: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    let expected = format!("the first\n{odd}\n{numbers}the last\n");
    let log = String::from_utf8_lossy(&outcome.log).into_owned();
    outcome.built();
    let beginning: String = log.chars().take(200).collect();
    assert!(log == expected, "{} bytes: {beginning}", log.len());
}
