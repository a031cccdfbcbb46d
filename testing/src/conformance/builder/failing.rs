//! Builds that must not go well.

use grange_derivation::Hash;
use grange_interfaces::BuildError;
use grange_model::{Digest, FailureKind, SetupProblem};

use super::workshop::{instantiate, out, write};
use crate::Step;
use crate::conformance::BuilderBench;

fn kind(error: BuildError) -> FailureKind {
    match error {
        BuildError::Failed { kind, .. } => kind,
        other => panic!("it failed otherwise: {other:?}"),
    }
}

fn problem(error: BuildError) -> SetupProblem {
    match error {
        BuildError::Setup { problem, .. } => problem,
        other => panic!("it failed otherwise: {other:?}"),
    }
}

/// "Every input is valid …; a builder that finds otherwise says so"; "builds exactly this derivation
/// and nothing else".
pub async fn a_missing_input_is_a_setup_failure(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let low = shop.make("low", &[write("out", "low")]);
    let top = shop.begin("top", &[write("out", "top")]);
    let top = instantiate(top.input(&low, &["out"]));
    let error = shop.build(&top, &[&low]).await.error();
    let SetupProblem::MissingInputs(mut missing) = problem(error) else {
        panic!("an input is missing");
    };
    if shop.builder.offers().derivations {
        // It wants the derivation of the input as well.
        missing.retain(|it| *it != Digest(*low.path.digest()));
    }
    assert_eq!(missing, [Digest(*out(&low).digest())]);
    assert!(
        !shop.is_valid(out(&low)).await,
        "it built what it was not asked for"
    );
    assert!(!shop.is_valid(out(&top)).await, "it failed, and is valid");
    shop.build(&low, &[]).await.built();
    shop.build(&top, &[&low]).await.built();
}

/// "No output exists when it is called; a builder that finds otherwise says so."
pub async fn an_output_in_the_way_is_a_setup_failure(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let made = shop.make("twice", &[write("out", "once")]);
    shop.build(&made, &[]).await.built();
    let before = shop.nar(out(&made)).await;
    let error = shop.build(&made, &[]).await.error();
    assert_eq!(problem(error), SetupProblem::OutputsInTheWay);
    assert!(
        shop.nar(out(&made)).await == before,
        "it is something else now"
    );
    shop.store
        .delete(out(&made))
        .await
        .expect("nothing refers to it");
    shop.build(&made, &[]).await.built();
}

/// "The builder ran and failed": how, and nothing of it is valid.
pub async fn a_failure_says_how_and_leaves_nothing(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    for status in [1, 3, 100] {
        let steps = [
            write("out", "half"),
            Step::Say("no further".into()),
            Step::Exit(status),
        ];
        let made = shop.make("fails", &steps);
        for _ in 0..2 {
            let outcome = shop.build(&made, &[]).await;
            assert_eq!(outcome.log.escape_ascii().to_string(), "no further\\n");
            assert_eq!(kind(outcome.error()), FailureKind::Exit(status));
            assert!(!shop.is_valid(out(&made)).await, "it failed, and is valid");
        }
    }
}

/// "Outputs are … complete": all of them, or it has failed.
pub async fn a_missing_output_is_a_failure(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let author = shop.begin("half", &[write("out", "half")]);
    let made = instantiate(author.output("out").output("lib"));
    let error = shop.build(&made, &[]).await.error();
    assert_eq!(kind(error), FailureKind::MissingOutput("lib".into()));
    assert!(
        !shop.is_valid(out(&made)).await,
        "it failed, and a part is valid"
    );
}

/// An output that has another hash than was said beforehand is none.
pub async fn a_wrong_hash_is_a_failure(bench: &impl BuilderBench) {
    let Some(shop) = bench.open().await else {
        return;
    };
    let author = shop.begin("wrong", &[write("out", "other")]);
    let salt = crate::conformance::local_store::salt();
    let made = instantiate(author.fixed(false, Hash::sha256(salt.as_bytes())));
    let error = shop.build(&made, &[]).await.error();
    assert_eq!(kind(error), FailureKind::HashMismatch);
    assert!(!shop.is_valid(out(&made)).await, "it failed, and is valid");
}
