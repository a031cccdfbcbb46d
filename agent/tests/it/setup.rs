//! Attempts that never get to run the builder.

use grange_derivation::{Builder, StoreDir};
use grange_interfaces::BuildError;
use grange_interfaces::message::Report;
use grange_model::{Digest, SetupProblem};

use crate::builder::Play;
use crate::rig::{Rig, derivation, id, item};

async fn setup_failure(rig: &Rig) -> (String, Vec<String>, String) {
    let running = rig.start();
    let report = rig.report(1).await;
    let Report::SetupFailed {
        missing,
        problem,
        message,
    } = report
    else {
        panic!("{report:?}")
    };
    rig.idle(&running).await;
    assert_eq!(running.agent.status().totals.setup_failed, 1);
    running.stop().await;
    (problem, missing, message)
}

#[tokio::test(start_paused = true)]
async fn missing_inputs_are_named() {
    let rig = Rig::new();
    let missing = item("missing").to_string();
    rig.assign_with(1, &derivation("a"), vec![], vec![missing.clone()]);
    let (problem, paths, message) = setup_failure(&rig).await;
    assert_eq!(
        (problem.as_str(), paths),
        ("missing-inputs", vec![missing.clone()])
    );
    assert_eq!(message, format!("the input {missing} is missing"));
    assert!(rig.player.built().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_input_that_only_the_agent_has_is_used_with_all_that_it_refers_to() {
    let rig = Rig::new();
    let (deep, deeper) = (item("deep"), item("deeper"));
    let local = item("local");
    rig.store.add(&deeper, b"3", std::slice::from_ref(&deeper));
    rig.store.add(&deep, b"2", std::slice::from_ref(&deeper));
    rig.store.add(&local, b"1", &[deep.clone(), deeper.clone()]);
    rig.assign_with(1, &derivation("a"), vec![], vec![local.to_string()]);
    let running = rig.start();
    rig.report(1).await;
    assert_eq!(
        rig.player.jobs.lock().unwrap()[0].inputs,
        [deeper, deep, local]
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_nobody_speaks_of_is_missing() {
    let rig = Rig::new();
    let source = item("source");
    let derivation = Builder::new(&StoreDir::guix(), "a", "x86_64-linux", "/bin/sh")
        .source(source.clone())
        .instantiate()
        .unwrap();
    rig.assign_with(1, &derivation, vec![], vec![]);
    let (problem, paths, _) = setup_failure(&rig).await;
    assert_eq!(
        (problem.as_str(), paths),
        ("missing-inputs", vec![source.to_string()])
    );
}

#[tokio::test(start_paused = true)]
async fn another_system_is_not_built() {
    let rig = Rig::new();
    let derivation = Builder::new(&StoreDir::guix(), "a", "riscv64-linux", "/bin/sh").instantiate();
    rig.assign_with(1, &derivation.unwrap(), vec![], vec![]);
    let (problem, _, message) = setup_failure(&rig).await;
    assert_eq!(problem, "unsupported");
    assert!(message.contains("is for `riscv64-linux`, and this agent builds for x86_64-linux"));
}

#[tokio::test(start_paused = true)]
async fn outputs_that_are_there_are_deleted_first() {
    let rig = Rig::new();
    let output = derivation("a").output("out").unwrap().clone();
    rig.store.add(&output, b"old", &[]);
    rig.assign(1, "a");
    let running = rig.start();
    assert!(matches!(rig.report(1).await, Report::Succeeded { .. }));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn outputs_that_cannot_be_deleted_are_in_the_way() {
    let rig = Rig::new();
    let output = derivation("a").output("out").unwrap().clone();
    rig.store.add(&output, b"old", &[]);
    rig.store.in_use.lock().unwrap().push(output);
    rig.assign(1, "a");
    let (problem, ..) = setup_failure(&rig).await;
    assert_eq!(problem, "outputs-in-the-way");
}

#[tokio::test(start_paused = true)]
async fn an_output_that_another_build_uses_is_in_the_way() {
    let mut rig = Rig::new();
    rig.config.parallel = 2;
    let first = derivation("a");
    let output = first.output("out").unwrap().clone();
    rig.store.add(&output, b"old", &[]);
    rig.play("user", Play::Hang(vec!["runs".into()]));
    rig.assign_with(2, &derivation("user"), vec![], vec![output.to_string()]);
    let running = rig.start();
    rig.farm
        .until("the user runs", |state| state.logs.contains_key(&id(2)))
        .await;
    rig.assign_with(1, &first, vec![], vec![]);
    let report = rig.report(1).await;
    assert!(
        matches!(&report, Report::SetupFailed { problem, .. } if problem == "outputs-in-the-way")
    );
    assert!(rig.store.has(&output));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_not_that_of_the_path_is_not_built() {
    let rig = Rig::new();
    rig.assign(1, "a");
    let other = data_encoding::BASE64.encode(&derivation("b").text);
    rig.farm
        .change(|state| state.jobs.get_mut(&id(1)).unwrap().text = other);
    let (problem, _, message) = setup_failure(&rig).await;
    assert_eq!(problem, "other");
    assert!(message.contains("is that of"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn texts_that_are_none_are_not_built() {
    for text in ["not base 64!", "", "RGVyaXZl", "/w=="] {
        let rig = Rig::new();
        rig.assign(1, "a");
        rig.farm
            .change(|state| state.jobs.get_mut(&id(1)).unwrap().text = text.to_owned());
        setup_failure(&rig).await;
        assert!(rig.player.built().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_is_said() {
    let rig = Rig::new();
    let input = item("input");
    let view = rig.offer(&input, b"contents", &[]);
    *rig.store.full.lock().unwrap() = true;
    rig.assign_with(1, &derivation("a"), vec![view], vec![]);
    let (problem, ..) = setup_failure(&rig).await;
    assert_eq!(problem, "disk-full");
}

#[tokio::test(start_paused = true)]
async fn what_a_builder_says_of_its_setup_is_passed_on() {
    let rig = Rig::new();
    let input = item("input");
    let view = rig.offer(&input, b"contents", &[]);
    let missing = SetupProblem::MissingInputs(vec![Digest(*input.digest())]);
    let error = BuildError::Setup {
        problem: missing,
        message: "not there".into(),
    };
    rig.play("a", Play::Return(error));
    rig.assign_with(1, &derivation("a"), vec![view], vec![]);
    let (problem, paths, message) = setup_failure(&rig).await;
    assert_eq!(
        (problem.as_str(), message.as_str()),
        ("missing-inputs", "not there")
    );
    assert_eq!(paths, [input.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_panics_or_lies_does_not_take_the_agent_along() {
    for play in [Play::Panic, Play::Return(BuildError::Stopped)] {
        let rig = Rig::new();
        rig.play("a", play);
        rig.assign(1, "a");
        let (problem, ..) = setup_failure(&rig).await;
        assert_eq!(problem, "other");
    }
}
