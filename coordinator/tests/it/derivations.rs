//! Derivations that are not what they say.

use grange_derivation::{Builder, Derivation, Instantiated, OutputName, StoreDir};
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Fault, Refusal, bytes_of};

use crate::farm::{Farm, Setup, builder, derivation, frames, request};

async fn put(farm: &Farm, path: &str, text: &[u8]) -> Result<(), Refusal> {
    farm.put_derivations(frames(&[(path, text)])).await
}

async fn refused(farm: &Farm, path: &str, text: &[u8]) -> String {
    let refusal = put(farm, path, text).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Caller, "{refusal}");
    refusal.message
}

/// The path that follows from a text.
fn path_of(derivation: &Derivation, text: &[u8]) -> String {
    derivation.path_of_text(text).unwrap().to_string()
}

async fn lacks(farm: &Farm, derivation: &Instantiated) -> bool {
    let derivations = vec![derivation.path.to_string()];
    let message = Message::Lacking {
        derivations,
        items: Vec::new(),
    };
    match farm.call(message, None).await.unwrap().0 {
        Answer::Lacking { derivations, .. } => !derivations.is_empty(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn cut_anywhere_they_are_refused_and_nothing_is_kept() {
    let farm = Farm::new().await;
    let whole = builder("whole").env("a", "b").instantiate().unwrap();
    let path = whole.path.to_string();
    for end in 0..whole.text.len() {
        let message = refused(&farm, &path, &whole.text[..end]).await;
        assert!(message.contains(&path), "{message}");
    }
    assert!(lacks(&farm, &whole).await);
    put(&farm, &path, &whole.text).await.unwrap();
    assert!(!lacks(&farm, &whole).await);
}

#[tokio::test]
async fn with_any_byte_changed_they_are_refused() {
    let farm = Farm::new().await;
    let whole = builder("whole").env("a", "b").instantiate().unwrap();
    let path = whole.path.to_string();
    for at in 0..whole.text.len() {
        for with in [0, b'"', b'(', 0xff] {
            let mut text = whole.text.clone();
            if std::mem::replace(&mut text[at], with) != with {
                refused(&farm, &path, &text).await;
            }
        }
    }
}

#[tokio::test]
async fn real_ones_need_their_inputs_and_sources_first() {
    let samples = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../derivation/testdata/drv-samples"
    );
    let Ok(samples) = std::fs::read_dir(samples) else {
        println!("skipped: the samples of grange-derivation are not here");
        return;
    };
    let farm = Farm::new().await;
    let (mut taken, mut refusals) = (0, 0);
    for file in samples.map(Result::unwrap) {
        let name = file.file_name().into_string().unwrap();
        if !name.ends_with(".drv") {
            continue;
        }
        let text = std::fs::read(file.path()).unwrap();
        let mut results = Vec::new();
        for store in ["/gnu/store", "/nix/store"] {
            results.push(put(&farm, &format!("{store}/{name}"), &text).await);
        }
        // In the other store it has another path.
        assert!(results.iter().any(Result::is_err), "{name}");
        let lacking = |result: &Result<(), Refusal>| {
            let message = result.as_ref().err().map(|refusal| &*refusal.message);
            message.is_some_and(|message| message.contains("has to be sent before it"))
        };
        match results.iter().find(|result| result.is_ok()) {
            Some(_) => taken += 1,
            None => {
                assert!(results.iter().any(lacking), "{name}: {results:?}");
                refusals += 1;
            }
        }
    }
    assert!(taken > 0 && refusals > 0, "{taken} {refusals}");
}

#[tokio::test]
async fn large_ones_are_taken_up_to_the_limit() {
    let mut setup = Setup::default();
    setup.config.max_derivation = 500_000;
    let farm = setup.start().await;
    let large = builder("large").env("text", vec![b'x'; 400_000]);
    let large = large.instantiate().unwrap();
    put(&farm, &large.path.to_string(), &large.text)
        .await
        .unwrap();
    let larger = builder("larger").env("text", vec![b'x'; 500_000]);
    let larger = larger.instantiate().unwrap();
    let message = refused(&farm, &larger.path.to_string(), &larger.text).await;
    assert!(message.contains("at most 500000"), "{message}");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_kept_as_they_are() {
    let farm = Farm::new().await;
    let bytes = builder("bytes").env("x", b"\xff\xfe\0\n".to_vec());
    let bytes = bytes.instantiate().unwrap();
    let path = bytes.path.to_string();
    put(&farm, &path, &bytes.text).await.unwrap();
    let paths = vec![path.clone()];
    let (_, body) = farm
        .call(Message::Derivations { paths }, None)
        .await
        .unwrap();
    let body = bytes_of(body.unwrap(), 1 << 20).await.unwrap();
    assert_eq!(body, frames(&[(&path, &bytes.text)]));

    let system = Builder::new(&StoreDir::guix(), "system", b"\xff".to_vec(), "/bin/sh");
    let system = system.instantiate().unwrap();
    let message = refused(&farm, &system.path.to_string(), &system.text).await;
    assert!(message.ends_with("its system is not text"), "{message}");
    let path = frames(&[("x", b"")])
        .into_iter()
        .map(|byte| if byte == b'x' { 0xff } else { byte });
    let refusal = farm.put_derivations(path.collect()).await.unwrap_err();
    assert_eq!(refusal.message, "a derivation's path is not text");
}

#[tokio::test]
async fn under_another_path_they_are_refused() {
    let farm = Farm::new().await;
    let (one, other) = (derivation("one", &[]), derivation("other", &[]));
    let message = refused(&farm, &other.path.to_string(), &one.text).await;
    assert!(message.contains(&other.path.to_string()), "{message}");
    let message = refused(&farm, "/gnu/store/x.drv", &one.text).await;
    assert!(message.contains("is no store path"), "{message}");
    let elsewhere = one.path.to_string().replace("/gnu/store", "/my/store");
    let message = refused(&farm, &elsewhere, &one.text).await;
    assert!(message.contains("/gnu/store, /nix/store"), "{message}");
    let item = one.output("out").unwrap().to_string();
    let message = refused(&farm, &item, &one.text).await;
    assert!(message.contains("ends in .drv"), "{message}");
}

/// Whose derivation claims the output of another could build what others trust.
#[tokio::test]
async fn claiming_the_output_of_another_is_refused() {
    let farm = Farm::new().await;
    let good = derivation("good", &[]);
    put(&farm, &good.path.to_string(), &good.text)
        .await
        .unwrap();
    let mut evil = good.derivation.clone();
    evil.args.push(b"evil".to_vec());
    let text = evil.print();
    let path = path_of(&evil, &text);
    let message = refused(&farm, &path, &text).await;
    assert!(message.contains(&path), "{message}");
    assert!(
        message.contains(good.output("out").unwrap().name()),
        "{message}"
    );
}

#[tokio::test]
async fn inputs_come_first_and_have_the_outputs_that_are_named() {
    let farm = Farm::new().await;
    let base = derivation("base", &[]);
    let user = derivation("user", &[&base]);
    let message = refused(&farm, &user.path.to_string(), &user.text).await;
    assert!(message.contains("has to be sent before it"), "{message}");
    let (base_path, user_path) = (base.path.to_string(), user.path.to_string());
    let wrong = frames(&[(&user_path, &user.text), (&base_path, &base.text)]);
    farm.put_derivations(wrong).await.unwrap_err();
    assert!(lacks(&farm, &base).await && lacks(&farm, &user).await);
    let right = frames(&[(&base_path, &base.text), (&user_path, &user.text)]);
    farm.put_derivations(right.clone()).await.unwrap();
    // Once more is the same.
    farm.put_derivations(right).await.unwrap();

    let missing = builder("missing").input_path(base.path.clone(), base.hash, &["doc"]);
    let missing = missing.instantiate().unwrap();
    let message = refused(&farm, &missing.path.to_string(), &missing.text).await;
    assert!(message.contains("doc"), "{message}");
}

/// A derivation's path follows from its text, in which its inputs stand: two that name each other
/// would each need the hash of the other first. Whoever claims to have found some is refused.
#[tokio::test]
async fn cycles_are_refused() {
    let farm = Farm::new().await;
    let (a, b) = (derivation("a", &[]), derivation("b", &[]));
    let with = |one: &Instantiated, other: &Instantiated| {
        let mut derivation = one.derivation.clone();
        let out = OutputName::out();
        let wanted = [out].into_iter().collect();
        derivation
            .input_derivations
            .insert(other.path.clone(), wanted);
        derivation.print()
    };
    let (a_text, b_text) = (with(&a, &b), with(&b, &a));
    let (a_path, b_path) = (a.path.to_string(), b.path.to_string());
    let body = frames(&[(&a_path, &a_text), (&b_path, &b_text)]);
    let refusal = farm.put_derivations(body).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Caller, "{refusal}");
    let own = with(&a, &a);
    refused(&farm, &a_path, &own).await;
}

#[tokio::test]
async fn bodies_that_end_too_early_are_refused() {
    let farm = Farm::new().await;
    let one = derivation("one", &[]);
    let body = frames(&[(&one.path.to_string(), &one.text)]);
    for end in [1, 4, 10, body.len() - 1] {
        let refusal = farm.put_derivations(body[..end].to_vec()).await;
        let refusal = refusal.unwrap_err();
        assert!(refusal.message.contains("in the middle"), "{refusal}");
    }
    let mut huge = body.clone();
    huge[0] = 0xff;
    let refusal = farm.put_derivations(huge).await.unwrap_err();
    assert!(refusal.message.contains("at most 4096"), "{refusal}");
    assert!(lacks(&farm, &one).await);
    farm.put_derivations(Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_build_of_what_was_not_sent_is_refused() {
    let farm = Farm::new().await;
    let one = derivation("one", &[]);
    let mut item = request(&one);
    item.derivation = one.output("out").unwrap().to_string();
    let builds = vec![request(&one), item];
    let (answer, _) = farm.call(Message::Submit { builds }, None).await.unwrap();
    let text = format!("{answer:?}");
    assert!(text.contains("send it first"), "{text}");
    assert!(text.contains("only derivations can be built"), "{text}");
}
