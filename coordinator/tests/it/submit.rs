//! Asking for builds.

use grange_coordinator::client::MemorySource;
use grange_derivation::{Builder, StoreDir};
use grange_interfaces::Fault;
use grange_interfaces::message::{Answer, BuildRequest, Message, Submission};
use grange_model::BuildState;

use crate::agent::made;
use crate::farm::{Farm, builder, derivation, request};

async fn ask(farm: &Farm, builds: Vec<BuildRequest>) -> Vec<Submission> {
    match farm.call(Message::Submit { builds }, None).await.unwrap().0 {
        Answer::Submitted(answers) => answers,
        other => panic!("{other:?}"),
    }
}

fn refusal(submission: &Submission) -> (Fault, &str) {
    match submission {
        Submission::Refused(refusal) => (refusal.fault, &refusal.message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_same_id_is_the_same_build_or_refused() {
    let farm = Farm::new().await;
    let (one, other) = (derivation("one", &[]), derivation("other", &[]));
    farm.submit(&[&other]).await;
    let first = request(&one);
    let mut source = MemorySource::new();
    source.add(&one);
    farm.submit_as(vec![first.clone()], source).await;
    let before = farm.client.counts().await.unwrap();
    let mut stolen = request(&other);
    stolen.id = first.id;
    let answers = ask(&farm, vec![first.clone(), stolen.clone()]).await;
    assert!(matches!(&answers[0], Submission::Accepted { .. }));
    assert_eq!(refusal(&answers[1]).0, Fault::Conflict);
    assert_eq!(before, farm.client.counts().await.unwrap());

    // Also after it has ended.
    farm.client.cancel(vec![first.id]).await.unwrap();
    let answers = ask(&farm, vec![first, stolen]).await;
    let state = BuildState::Canceled;
    let warnings = Vec::new();
    assert_eq!(answers[0], Submission::Accepted { state, warnings });
    assert_eq!(refusal(&answers[1]).0, Fault::Conflict);
}

#[tokio::test]
async fn what_nobody_offers_is_told_at_submission() {
    let farm = Farm::new().await;
    let mut agent = farm.agent().await;
    agent.exchange(&[], 0).await.unwrap();
    let riscv = Builder::new(&StoreDir::guix(), "r", "riscv64-linux", "/bin/sh");
    let riscv = riscv.instantiate().unwrap();
    let kvm = builder("kvm").required_system_features(["kvm"]);
    let kvm = kvm.instantiate().unwrap();
    let plain = derivation("plain", &[]);
    let mut tagged = request(&plain);
    tagged.requires.insert("disk".into(), "large".into());
    let mut source = MemorySource::new();
    source.add(&riscv).add(&kvm).add(&plain);
    let requests = vec![request(&riscv), request(&kvm), tagged, request(&plain)];
    let ids: Vec<_> = requests.iter().map(|request| request.id).collect();
    let accepted = farm.submit_as(requests, source).await;
    for (at, word) in ["riscv64-linux", "kvm", "disk"].into_iter().enumerate() {
        let (state, warnings) = &accepted[at];
        assert_eq!(*state, BuildState::Ready);
        assert!(
            warnings.iter().any(|said| said.contains(word)),
            "{warnings:?}"
        );
        let reasons = farm.view(ids[at]).await.reasons;
        assert!(
            reasons.iter().any(|said| said.contains(word)),
            "{reasons:?}"
        );
    }
    assert_eq!(accepted[3].1, Vec::<String>::new());
}

#[tokio::test]
async fn too_much_is_refused() {
    let farm = Farm::new().await;
    let one = derivation("one", &[]);
    let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
    let long = [("k".to_owned(), "v".repeat(1_025))].into();
    let wrong = [
        BuildRequest {
            tags: many,
            ..request(&one)
        },
        BuildRequest {
            requires: long,
            ..request(&one)
        },
    ];
    for answer in ask(&farm, wrong.into()).await {
        assert!(refusal(&answer).1.contains("at most 64 tags"));
    }
    let builds = vec![request(&one); 1_001];
    let refusal = farm.call(Message::Submit { builds }, None).await.err();
    assert!(refusal.unwrap().message.contains("at most 1000 builds"));
    let paths = vec![one.path.to_string(); 100_001];
    let message = Message::Items {
        paths,
        closure: false,
    };
    let refusal = farm.call(message, None).await.err().unwrap();
    assert!(
        refusal.message.contains("at most 100000 paths"),
        "{refusal}"
    );
    let tags = (0..1_001).map(|n| (n.to_string(), String::new())).collect();
    let mut agent = farm.agent().await;
    agent.capacity.tags = tags;
    let refusal = agent.exchange(&[], 0).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Caller);
    let name = "x".repeat(201);
    assert!(farm.client.new_agent(agent.id, name).await.is_err());
}

/// Between the decision that ends a build and its commit, the build is neither unfinished nor in
/// the history.
#[tokio::test]
async fn a_build_that_is_just_ending_is_not_denied() {
    let datastore = std::sync::Arc::new(grange_testing::MemoryDatastore::new());
    let setup = crate::farm::Setup {
        datastore: std::sync::Arc::clone(&datastore) as _,
        hooks: Vec::new(),
        ..Default::default()
    };
    let farm = setup.start().await;
    let one = derivation("one", &[]);
    let id = farm.submit(&[&one]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", b"one", &[]);
    agent.upload(attempt, &out).await;
    agent.log(attempt, 0, b"said").await.unwrap();
    datastore.hold();
    let outs = [&out];
    let report = agent.report(attempt, crate::agent::succeeded(&outs, 4));
    let ask = async {
        // Void for others means that the report was handed in.
        crate::farm::until(|| async { agent.log_offset(attempt).await.is_err() }).await;
        let all = || farm.client.builds(Default::default(), None);
        let first = |mut pages: grange_coordinator::client::BuildPages| async move {
            pages.next().await.unwrap().unwrap_or_default().len()
        };
        let release = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            datastore.release();
        };
        let (view, log, cancel, builds, ()) = tokio::join!(
            farm.client.build(id),
            crate::logs::read(&farm.client, id),
            farm.client.cancel(vec![id]),
            first(all()),
            release
        );
        assert_eq!(view.unwrap().summary.state, BuildState::Succeeded);
        assert_eq!(log, b"said");
        assert!(matches!(&cancel.unwrap()[0], Submission::Accepted { .. }));
        assert_eq!(builds, 1);
    };
    let (report, ()) = tokio::join!(report, ask);
    report.unwrap();
}
