//! What substitute servers of others have is not built.

use std::sync::Arc;

use futures::TryStreamExt;
use grange_coordinator::Upstreams;
use grange_coordinator::client::{ClientError, MemorySource};
use grange_derivation::{Hash, Instantiated, StoreDir, StorePath, nar, paths};
use grange_interfaces::message::{Answer, BuildRequest, ItemView, Message, Report};
use grange_interfaces::{Body, Fault, Refusal};
use grange_model::{BuildId, BuildState};
use grange_testing::MemoryUpstream;

use crate::agent::{Agent, made};
use crate::farm::{Farm, Setup, again, builder, derivation, request, until};
use crate::restart::on_disk;

async fn farm() -> (Farm, Arc<MemoryUpstream>) {
    let upstream = Arc::new(MemoryUpstream::new());
    let setup = asking(Setup::default(), &upstream);
    (setup.start().await, upstream)
}

fn asking(setup: Setup, upstream: &Arc<MemoryUpstream>) -> Setup {
    let upstreams = Upstreams {
        items: Some(Arc::clone(upstream) as _),
        derivations: None,
    };
    Setup { upstreams, ..setup }
}

pub(crate) fn out(derivation: &Instantiated) -> StorePath {
    derivation.output("out").unwrap().clone()
}

/// A path that no derivation of a test makes.
fn other(name: &str) -> StorePath {
    let hash = Hash::sha256(name.as_bytes()).to_sha256().unwrap();
    paths::source_path(&StoreDir::guix(), name, [], false, &hash).unwrap()
}

fn all(derivations: &[&Instantiated]) -> MemorySource {
    let mut source = MemorySource::new();
    for derivation in derivations {
        source.add(derivation);
    }
    source
}

pub(crate) async fn submit(
    farm: &Farm,
    request: BuildRequest,
    derivations: &[&Instantiated],
) -> (BuildId, BuildState) {
    let id = request.id;
    let accepted = farm.submit_as(vec![request], all(derivations)).await;
    (id, accepted[0].0)
}

pub(crate) async fn fetch(
    agent: &Agent,
    path: &StorePath,
    offset: u64,
) -> Result<(ItemView, Vec<u8>), Refusal> {
    let path = path.to_string();
    let message = Message::FetchItem { path, offset };
    let (answer, body) = agent.endpoint.call(&agent.peer, message, None).await?;
    let Answer::Item(view) = answer else {
        panic!("{answer:?}");
    };
    Ok((view, bytes(body.unwrap()).await))
}

async fn bytes(body: Body) -> Vec<u8> {
    let pieces: Vec<_> = body.try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn an_output_that_is_upstream_is_not_built() {
    let (farm, upstream) = farm().await;
    let base = derivation("base", &[]);
    let user = derivation("user", &[&base]);
    let library = other("library");
    upstream.add_file(&out(&user), b"user", &[out(&user), library.clone()]);
    upstream.add_file(&library, b"library", &[]);
    let (id, state) = submit(&farm, request(&user), &[&base, &user]).await;
    assert_eq!(state, BuildState::Succeeded);
    // From the top down: what the build would have needed is nobody's business.
    assert_eq!(upstream.asked(), [out(&user), library]);
    let view = farm.view(id).await;
    assert!(view.attempts.is_empty() && view.outputs[0].available);
    let counts = farm.client.counts().await.unwrap();
    assert_eq!(counts.builds.values().sum::<u64>(), 1, "{counts:?}");
    // Whoever asks for it later is told so without anybody being asked.
    let (_, state) = submit(&farm, request(&user), &[]).await;
    assert_eq!((state, upstream.asked()), (BuildState::Succeeded, vec![]));
}

#[tokio::test]
async fn an_input_that_is_upstream_goes_to_the_agent() {
    let (farm, upstream) = farm().await;
    let (base, deep) = (derivation("base", &[]), derivation("deep", &[]));
    let (user, library) = (derivation("user", &[&base, &deep]), other("library"));
    upstream.add_file(&out(&base), &[7; 300_000], std::slice::from_ref(&library));
    upstream.add_file(&library, b"library", &[]);
    let (id, state) = submit(&farm, request(&user), &[&base, &deep, &user]).await;
    assert_eq!(state, BuildState::Blocked);
    let mut agent = farm.agent().await;
    let assignment = agent.take().await;
    assert_eq!(assignment.derivation, deep.path.to_string());
    let deep_out = made("out", b"deep", &[]);
    agent
        .succeed(assignment.attempt, b"", &[&deep_out])
        .await
        .unwrap();
    let attempt = agent.take().await.attempt;
    let job = agent.job(attempt).await.unwrap();
    let is_upstream = |view: &ItemView| (view.path.clone(), view.upstream);
    let mut inputs: Vec<_> = job.inputs.iter().map(is_upstream).collect();
    inputs.sort();
    let mut expected = [(out(&base), true), (library, true), (out(&deep), false)]
        .map(|(path, up)| (path.to_string(), up));
    expected.sort();
    assert_eq!(inputs, expected);
    assert!(job.missing.is_empty());
    let (view, whole) = fetch(&agent, &out(&base), 0).await.unwrap();
    let archive = nar::of_file(&[7; 300_000]);
    assert_eq!(zstd::decode_all(&*whole).unwrap(), archive);
    assert_eq!((view.nar_size, view.upstream), (archive.len() as u64, true));
    let (_, rest) = fetch(&agent, &out(&base), 5).await.unwrap();
    assert_eq!(rest, whole[5..]);
    // What is made may refer to it.
    let user_out = made(
        "out",
        format!("refers to {}", out(&base)).as_bytes(),
        &[&out(&base)],
    );
    agent.succeed(attempt, b"", &[&user_out]).await.unwrap();
    assert_eq!(farm.wait(id).await, BuildState::Succeeded);
}

#[tokio::test]
async fn what_is_not_whole_upstream_is_built() {
    let (farm, upstream) = farm().await;
    let half = builder("half")
        .output("out")
        .output("doc")
        .instantiate()
        .unwrap();
    upstream.add_file(half.output("doc").unwrap(), b"doc", &[]);
    let (_, state) = submit(&farm, request(&half), &[&half]).await;
    assert_eq!(state, BuildState::Ready);
    let torn = derivation("torn", &[]);
    upstream.add_file(&out(&torn), b"torn", &[other("lost")]);
    let (_, state) = submit(&farm, request(&torn), &[&torn]).await;
    assert_eq!(state, BuildState::Ready);
    let items = farm.call(
        Message::Items {
            paths: vec![
                half.output("doc").unwrap().to_string(),
                out(&torn).to_string(),
            ],
            closure: false,
        },
        None,
    );
    assert_eq!(items.await.unwrap().0, Answer::Items(vec![None, None]));
}

#[tokio::test]
async fn who_wants_an_attempt_of_his_own_gets_one() {
    let (farm, upstream) = farm().await;
    let base = derivation("base", &[]);
    let user = derivation("user", &[&base]);
    upstream.add_file(&out(&user), b"user", &[]);
    upstream.add_file(&out(&base), b"base", &[]);
    let (_, state) = submit(&farm, again(&user), &[&base, &user]).await;
    assert_eq!(state, BuildState::Ready);
    assert_eq!(upstream.asked(), [out(&base)]);
}

#[tokio::test]
async fn a_server_that_is_down_keeps_nobody_from_building() {
    let (farm, upstream) = farm().await;
    let base = derivation("base", &[]);
    let user = derivation("user", &[&base]);
    upstream.add_file(&out(&user), b"user", &[]);
    upstream.set_down(true);
    let (first, state) = submit(&farm, request(&user), &[&base, &user]).await;
    assert_eq!(state, BuildState::Blocked);
    // What is expected is not asked for, unless somebody asks for it by name: then all who wait have it.
    upstream.set_down(false);
    upstream.asked();
    let (_, state) = submit(&farm, request(&user), &[]).await;
    assert_eq!(state, BuildState::Succeeded);
    assert_eq!(upstream.asked(), [out(&user)]);
    assert_eq!(farm.wait(first).await, BuildState::Succeeded);
    let mut agent = farm.agent().await;
    assert_eq!(agent.exchange(&[], 0).await.unwrap().assign, Vec::new());
}

#[tokio::test]
async fn it_is_remembered_through_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Arc::new(MemoryUpstream::new());
    let base = derivation("base", &[]);
    let user = derivation("user", &[&base]);
    upstream.add_file(&out(&base), b"base", &[]);
    let farm = asking(on_disk(dir.path()).await, &upstream).start().await;
    let (id, state) = submit(&farm, request(&user), &[&base, &user]).await;
    assert_eq!(state, BuildState::Ready);
    let door = farm.kill().await;
    upstream.asked();
    let setup = asking(on_disk(dir.path()).await, &upstream).behind(door);
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let job = agent.job(attempt).await.unwrap();
    assert!(job.missing.is_empty() && job.inputs[0].upstream);
    agent
        .succeed(attempt, b"", &[&made("out", b"user", &[])])
        .await
        .unwrap();
    assert_eq!(farm.wait(id).await, BuildState::Succeeded);
    assert_eq!(upstream.asked(), []);
}

#[tokio::test]
async fn a_fetch_of_what_is_gone_upstream_says_so() {
    let (farm, upstream) = farm().await;
    let base = derivation("base", &[]);
    upstream.add_file(&out(&base), b"base", &[]);
    submit(&farm, request(&base), &[&base]).await;
    let agent = farm.agent().await;
    upstream.set_down(true);
    let refusal = fetch(&agent, &out(&base), 0).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Busy, "{refusal}");
    upstream.set_down(false);
    upstream.remove(&out(&base));
    let refusal = fetch(&agent, &out(&base), 0).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::NotFound, "{refusal}");
}

/// Nobody but the server has the derivations and their source.
#[tokio::test]
async fn derivations_and_sources_come_from_upstream() {
    let (farm, upstream) = farm().await;
    let source = {
        let archive = nar::of_file(b"source");
        let hash = Hash::sha256(&archive).to_sha256().unwrap();
        paths::source_path(&StoreDir::guix(), "source", [], false, &hash).unwrap()
    };
    let base = builder("base")
        .source(source.clone())
        .instantiate()
        .unwrap();
    let user = derivation("user", &[&base]);
    for one in [&base, &user] {
        let references: Vec<_> = one.derivation.references().into_iter().collect();
        upstream.add_file(&one.path, &one.text, &references);
    }
    // The source is lacking: so is, then, all that needs it.
    let wanted = request(&user);
    let nothing = || Arc::new(MemorySource::new());
    let refused = farm
        .client
        .submit(vec![wanted.clone()], nothing(), &|_| {})
        .await;
    assert!(
        matches!(refused, Err(ClientError::Source(_))),
        "{refused:?}"
    );
    upstream.add_file(&source, b"source", &[]);
    let (id, state) = submit(&farm, wanted, &[]).await;
    assert_eq!(state, BuildState::Blocked);
    let mut agent = farm.agent().await;
    for name in ["base", "user"] {
        let attempt = agent.take().await.attempt;
        let job = agent.job(attempt).await.unwrap();
        assert_eq!(job.inputs[0].upstream, name == "base");
        agent
            .succeed(attempt, b"", &[&made("out", name.as_bytes(), &[])])
            .await
            .unwrap();
    }
    assert_eq!(farm.wait(id).await, BuildState::Succeeded);
}

#[tokio::test]
async fn a_derivation_that_is_another_is_not_taken() {
    let (farm, upstream) = farm().await;
    let (one, two) = (derivation("one", &[]), derivation("two", &[]));
    upstream.add_file(&one.path, &two.text, &[]);
    let nothing = Arc::new(MemorySource::new());
    let refused = farm
        .client
        .submit(vec![request(&one)], nothing, &|_| {})
        .await;
    let Err(ClientError::Refused(refusal)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.fault, Fault::Peer);
    assert!(refusal.message.contains("substitute server"), "{refusal}");
}

/// What is gone upstream is built, also if what is gone is only referred to by what is needed.
#[tokio::test]
async fn what_is_gone_upstream_is_built() {
    for torn in [false, true] {
        let (farm, upstream) = farm().await;
        let (base, library) = (derivation("base", &[]), other("library"));
        let user = derivation("user", &[&base]);
        upstream.add_file(&out(&base), b"base", std::slice::from_ref(&library));
        upstream.add_file(&library, b"library", &[]);
        let (id, state) = submit(&farm, request(&user), &[&base, &user]).await;
        assert_eq!(state, BuildState::Ready);
        let mut agent = farm.agent().await;
        let attempt = agent.take().await.attempt;
        assert!(agent.job(attempt).await.unwrap().missing.is_empty());
        let gone = if torn { &library } else { &out(&base) };
        upstream.remove(gone);
        let refusal = fetch(&agent, gone, 0).await.unwrap_err();
        assert_eq!(refusal.fault, Fault::NotFound, "{refusal}");
        let report = Report::SetupFailed {
            missing: vec![gone.to_string()],
            problem: "missing-inputs".to_owned(),
            message: "it is gone".to_owned(),
        };
        agent.report(attempt, report).await.unwrap();
        for name in ["base", "user"] {
            let assignment = agent.take().await;
            let expected = format!("-{name}.drv");
            assert!(assignment.derivation.ends_with(&expected), "{assignment:?}");
            let made = made("out", name.as_bytes(), &[]);
            agent
                .succeed(assignment.attempt, b"", &[&made])
                .await
                .unwrap();
        }
        assert_eq!(farm.wait(id).await, BuildState::Succeeded);
    }
}

/// What was built here may refer to what is upstream, and no longer: that is built, although nobody names it as an input.
#[tokio::test]
async fn what_an_output_refers_to_is_built_when_it_is_gone() {
    let (farm, upstream) = farm().await;
    let library = derivation("library", &[]);
    let base = derivation("base", &[&library]);
    let user = derivation("user", &[&base]);
    upstream.add_file(&out(&library), b"library", &[]);
    let mut agent = farm.agent().await;
    let (first, _) = submit(&farm, request(&base), &[&library, &base]).await;
    let refers = |name: &str| {
        made(
            "out",
            format!("{name}: {}", out(&library)).as_bytes(),
            &[&out(&library)],
        )
    };
    let attempt = agent.take().await.attempt;
    agent
        .succeed(attempt, b"", &[&refers("base")])
        .await
        .unwrap();
    assert_eq!(farm.wait(first).await, BuildState::Succeeded);
    let (id, _) = submit(&farm, request(&user), &[&user]).await;
    let attempt = agent.take().await.attempt;
    upstream.remove(&out(&library));
    let refusal = fetch(&agent, &out(&library), 0).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::NotFound, "{refusal}");
    let job = agent.job(attempt).await.unwrap();
    assert_eq!(job.missing, [out(&library).to_string()]);
    let report = Report::SetupFailed {
        missing: job.missing,
        problem: "missing-inputs".to_owned(),
        message: "it is gone".to_owned(),
    };
    agent.report(attempt, report).await.unwrap();
    let assignment = agent.take().await;
    assert_eq!(assignment.derivation, library.path.to_string());
    let made = made("out", b"library", &[]);
    agent
        .succeed(assignment.attempt, b"", &[&made])
        .await
        .unwrap();
    until(|| async { farm.view(id).await.summary.state == BuildState::Ready }).await;
}

/// An agent has substitute servers of its own.
#[tokio::test]
async fn an_output_may_refer_to_what_only_its_agent_had() {
    let (farm, upstream) = farm().await;
    let (known, unknown) = (other("known"), other("unknown"));
    upstream.add_file(&known, b"known", &[]);
    let mut agent = farm.agent().await;
    for (name, reference) in [("one", &known), ("two", &unknown)] {
        let one = derivation(name, &[]);
        let (id, _) = submit(&farm, request(&one), &[&one]).await;
        let attempt = agent.take().await.attempt;
        let made = made(
            "out",
            format!("{name}: {reference}").as_bytes(),
            &[reference],
        );
        let taken = agent.succeed(attempt, b"", &[&made]).await;
        if name == "one" {
            taken.unwrap();
            assert_eq!(farm.wait(id).await, BuildState::Succeeded);
            let items = Message::Items {
                paths: vec![out(&one).to_string()],
                closure: true,
            };
            let (Answer::Items(closure), _) = farm.call(items, None).await.unwrap() else {
                panic!("they are items");
            };
            assert_eq!(closure.len(), 2);
        } else {
            let refusal = taken.unwrap_err();
            assert_eq!(refusal.fault, Fault::Operator, "{refusal}");
            assert!(refusal.message.contains("-unknown"), "{refusal}");
            assert_eq!(farm.state(id).await, BuildState::Ready);
        }
    }
}
