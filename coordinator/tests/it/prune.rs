//! Outputs that nothing keeps go; no others do.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use grange_derivation::{Instantiated, StorePath};
use grange_interfaces::message::{BuildRequest, PruneRequest, PruneView};
use grange_interfaces::{Clock, Fault, Refusal};
use grange_model::{BuildState, Tags};

use crate::agent::{Agent, made};
use crate::clock::ManualClock;
use crate::farm::{Farm, builder, derivation, request, within};
use crate::items::{put, text};
use crate::restart::on_disk;

/// Builds it, with an output that refers to those of its inputs.
async fn build_as(farm: &Farm, agent: &mut Agent, what: &Instantiated, request: BuildRequest) {
    let id = request.id;
    let mut source = grange_coordinator::client::MemorySource::new();
    source.add(what);
    farm.submit_as(vec![request], source).await;
    let attempt = agent.take().await.attempt;
    succeed(agent, attempt).await.unwrap();
    assert_eq!(farm.state(id).await, BuildState::Succeeded);
}

/// The attempt has an output that refers to whatever it may refer to.
pub(crate) async fn succeed(
    agent: &Agent,
    attempt: grange_model::AttemptId,
) -> Result<(), Refusal> {
    let inputs = agent.job(attempt).await.unwrap().inputs;
    let inputs: Vec<_> = inputs
        .iter()
        .map(|item| StorePath::parse_any(&item.path).unwrap())
        .collect();
    let content = inputs.iter().map(ToString::to_string).collect::<String>();
    let references: Vec<_> = inputs.iter().collect();
    let out = made("out", content.as_bytes(), &references);
    agent.succeed(attempt, b"", &[&out]).await
}

pub(crate) async fn build(farm: &Farm, agent: &mut Agent, what: &Instantiated) {
    build_as(farm, agent, what, request(what)).await;
}

pub(crate) fn out(of: &Instantiated) -> String {
    of.output("out").unwrap().to_string()
}

pub(crate) async fn prune(farm: &Farm, request: PruneRequest) -> PruneView {
    within(farm.client.prune(request)).await.unwrap()
}

/// All that may go.
pub(crate) fn all(delete: bool) -> PruneRequest {
    PruneRequest {
        max_bytes: Some(0),
        delete,
        ..PruneRequest::default()
    }
}

pub(crate) fn paths(view: &PruneView) -> Vec<&str> {
    view.items.iter().map(|item| &*item.path).collect()
}

pub(crate) async fn is_here(farm: &Farm, path: &str) -> bool {
    let items = farm.client.items(vec![path.to_owned()], false).await;
    items.unwrap()[0].is_some()
}

/// Whether everything that is here is here with all that it refers to.
pub(crate) async fn check_closures(farm: &Farm, paths: &[String]) {
    for path in paths {
        let closure = farm.client.items(vec![path.clone()], true).await.unwrap();
        let closure: Vec<_> = closure.into_iter().flatten().collect();
        let references = closure.iter().flat_map(|item| &item.references);
        for reference in references {
            let here = closure.iter().any(|item| item.path == *reference);
            assert!(here, "{path} is here without {reference}");
        }
    }
}

/// Builds a derivation with two outputs.
pub(crate) async fn build_two(farm: &Farm, agent: &mut Agent) -> Instantiated {
    let two = builder("two").output("out").output("doc");
    let two = two.instantiate().unwrap();
    let id = farm.submit(&[&two]).await[0];
    let attempt = agent.take().await.attempt;
    let (plain, doc) = (made("out", b"out", &[]), made("doc", b"doc", &[]));
    agent.succeed(attempt, b"", &[&plain, &doc]).await.unwrap();
    assert_eq!(farm.state(id).await, BuildState::Succeeded);
    two
}

#[tokio::test]
async fn what_is_pruned_is_gone_and_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let setup = on_disk(dir.path()).await;
    let artifacts = Arc::clone(&setup.artifacts);
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    let one = derivation("one", &[]);
    let two = derivation("two", &[&one]);
    build(&farm, &mut agent, &one).await;
    build(&farm, &mut agent, &two).await;

    let looked = prune(&farm, all(false)).await;
    assert_eq!(paths(&looked), [out(&two), out(&one)]);
    assert_eq!((looked.goes.count, looked.stays.count), (2, 0));
    assert!(!looked.deleted && looked.items[0].used_at_ms.is_some());
    let held = farm.client.held().await.unwrap();
    assert_eq!((held.outputs, held.sources.count), (looked.goes, 0));
    assert_eq!(held.unreferenced.count, 0);
    assert!(is_here(&farm, &out(&one)).await);

    let pruned = prune(&farm, all(true)).await;
    assert_eq!(
        PruneView {
            deleted: false,
            ..pruned
        },
        looked
    );
    let place = dir.path().join("out");
    let fetched = farm.client.fetch(two.output("out").unwrap(), &place).await;
    let error = fetched.unwrap_err().to_string();
    assert!(error.contains("not available"), "{error}");
    let held = farm.client.held().await.unwrap();
    assert_eq!((held.outputs.count, held.unreferenced), (0, looked.goes));
    let swept = farm.client.sweep(true).await.unwrap();
    assert_eq!((swept.unreferenced, swept.deleted), (looked.goes, true));
    assert_eq!(artifacts.blobs().count().await, 0);

    // Only a dependent is asked for.
    let id = farm.submit(&[&two]).await[0];
    assert_eq!(farm.state(id).await, BuildState::Blocked);
    for _ in 0..2 {
        let attempt = agent.take().await.attempt;
        succeed(&agent, attempt).await.unwrap();
    }
    assert_eq!(farm.state(id).await, BuildState::Succeeded);
    check_closures(&farm, &[out(&two)]).await;
}

#[tokio::test]
async fn age_tags_roots_and_size_choose() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new());
    let mut setup = on_disk(dir.path()).await;
    setup.clock = Arc::clone(&clock) as _;
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    let tags = |value: &str| Tags::from([("branch".to_owned(), value.to_owned())]);
    let [old, low, mid, new] = ["old", "low", "mid", "new"].map(|name| derivation(name, &[]));
    let top = derivation("top", &[&low]);
    let day = Duration::from_hours(24);
    for (what, branch) in [
        (&old, "wip"),
        (&low, "wip"),
        (&mid, "main"),
        (&new, "wip"),
        (&top, "main"),
    ] {
        let tags = tags(branch);
        build_as(
            &farm,
            &mut agent,
            what,
            BuildRequest {
                tags,
                ..request(what)
            },
        )
        .await;
        clock.advance(day);
    }
    let chosen = async |request: PruneRequest| {
        let view = prune(&farm, request).await;
        let name = |path: &str| path.rsplit('-').next().unwrap().to_owned();
        paths(&view).into_iter().map(name).collect::<Vec<_>>()
    };
    let none = PruneRequest::default;
    let days = |count: u64| Some(count * 86_400_000);
    // What `top` refers to is of use as long as `top`.
    let older_than_ms = days(3);
    assert_eq!(
        chosen(PruneRequest {
            older_than_ms,
            ..none()
        })
        .await,
        ["old"]
    );
    let older_than_ms = days(2);
    assert_eq!(
        chosen(PruneRequest {
            older_than_ms,
            ..none()
        })
        .await,
        ["old", "mid"]
    );
    let request_tags = tags("wip");
    let wip = PruneRequest {
        tags: request_tags,
        ..none()
    };
    assert_eq!(chosen(wip.clone()).await, ["old", "new"]);
    let keep_tags = vec![("branch".to_owned(), "main".to_owned())];
    assert_eq!(
        chosen(PruneRequest {
            keep_tags,
            ..none()
        })
        .await,
        ["old", "new"]
    );
    let roots = vec![out(&top), mid.path.to_string()];
    assert_eq!(
        chosen(PruneRequest { roots, ..none() }).await,
        ["old", "new"]
    );
    let everything = prune(&farm, all(false)).await;
    let oldest = everything.items[0].bytes;
    let total = everything.goes.bytes;
    assert_eq!(
        chosen(PruneRequest {
            max_bytes: Some(total - oldest),
            ..none()
        })
        .await,
        ["old"]
    );
    assert_eq!(
        chosen(PruneRequest {
            max_bytes: Some(total),
            ..none()
        })
        .await,
        [""; 0]
    );

    // Who asks for it again uses it, and whose build it is counts.
    let id = farm.submit(&[&old]).await[0];
    assert_eq!(farm.state(id).await, BuildState::Succeeded);
    assert_eq!(
        chosen(PruneRequest {
            older_than_ms,
            ..none()
        })
        .await,
        ["mid"]
    );
    assert_eq!(chosen(wip).await, ["new"]);

    let refused = async |request: PruneRequest| match farm.client.prune(request).await {
        Err(grange_coordinator::client::ClientError::Refused(refusal)) => refusal.fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(none()).await, Fault::Caller);
    let roots = vec![out(&derivation("unknown", &[]))];
    assert_eq!(
        refused(PruneRequest { roots, ..all(true) }).await,
        Fault::NotFound
    );
    assert!(is_here(&farm, &out(&new)).await);
}

/// A kept output refers to one of two outputs of a derivation, or one of them is a root, or there is room for one: the
/// other stays, too.
#[tokio::test]
async fn outputs_of_one_derivation_go_or_stay_together() {
    let farm = Farm::new().await;
    let mut agent = farm.agent().await;
    let two = build_two(&farm, &mut agent).await;
    let user = derivation("user", &[&two]);
    build(&farm, &mut agent, &user).await;
    let [first, second] = ["out", "doc"].map(|name| two.output(name).unwrap().to_string());

    let everything = prune(&farm, all(false)).await;
    assert_eq!(paths(&everything)[0], out(&user));
    assert_eq!(everything.goes.count, 3);
    let root = |path: &String| PruneRequest {
        roots: vec![path.clone()],
        ..PruneRequest::default()
    };
    assert_eq!(prune(&farm, root(&out(&user))).await.goes.count, 0);
    for path in [&first, &second] {
        assert_eq!(paths(&prune(&farm, root(path)).await), [out(&user)]);
    }
    // One of the two has more bytes than are too many.
    let total = everything.goes.bytes;
    let room = PruneRequest {
        max_bytes: Some(total - everything.items[0].bytes - 1),
        ..PruneRequest::default()
    };
    assert_eq!(prune(&farm, room).await.goes.count, 3);
}

/// What nothing refers to, and nobody builds any more, is of use as long as something is built with it; what it was made
/// with is not.
#[tokio::test]
async fn inputs_are_of_use_until_the_last_build_that_had_them() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new());
    let mut setup = on_disk(dir.path()).await;
    setup.clock = Arc::clone(&clock) as _;
    let farm = setup.start().await;
    let mut agent = farm.agent().await;
    let seed = derivation("seed", &[]);
    let tool = derivation("tool", &[&seed]);
    let user = derivation("user", &[&tool]);
    let tags = |key: &str| Tags::from([(key.to_owned(), "yes".to_owned())]);
    let both = tags("both").into_iter().chain(tags("user")).collect();
    for (what, tags) in [(&seed, tags("both")), (&tool, Tags::new()), (&user, both)] {
        let request = BuildRequest {
            tags,
            ..request(what)
        };
        let mut source = grange_coordinator::client::MemorySource::new();
        source.add(what);
        farm.submit_as(vec![request], source).await;
        let attempt = agent.take().await.attempt;
        let plain = made("out", what.path.to_string().as_bytes(), &[]);
        agent.succeed(attempt, b"", &[&plain]).await.unwrap();
        clock.advance(Duration::from_hours(24));
    }
    let day = 86_400_000;
    let older = |days: u64| PruneRequest {
        older_than_ms: Some(days * day),
        ..PruneRequest::default()
    };
    // The seed was made three days ago and used two days ago, the tool was used yesterday.
    assert_eq!(prune(&farm, older(2)).await.goes.count, 0);
    let view = prune(&farm, older(1)).await;
    assert_eq!(paths(&view), [out(&seed)]);
    let now = Clock::now(&*clock).0;
    assert_eq!(view.items[0].used_at_ms, Some(now - 2 * day));
    let keep = PruneRequest {
        keep_tags: tags("user").into_iter().collect(),
        ..PruneRequest::default()
    };
    assert_eq!(paths(&prune(&farm, keep).await), [out(&seed)]);
    // A build without the tag had the seed.
    let tagged = PruneRequest {
        tags: tags("both"),
        ..PruneRequest::default()
    };
    assert_eq!(paths(&prune(&farm, tagged).await), [out(&user)]);
}

#[tokio::test]
async fn sources_and_what_unfinished_builds_need_stay() {
    let dir = tempfile::tempdir().unwrap();
    let farm = on_disk(dir.path()).await.start().await;
    let mut agent = farm.agent().await;
    let [one, two, three] = ["one", "two", "three"].map(|name| derivation(name, &[]));
    for what in [&one, &two, &three] {
        build(&farm, &mut agent, what).await;
    }
    // One is a source of a derivation that nobody builds, one is needed by a build, a text refers to
    // the third.
    let source = builder("user").source(one.output("out").unwrap().clone());
    let user = source.instantiate().unwrap();
    let body = crate::farm::frames(&[(&user.path.to_string(), &user.text)]);
    farm.put_derivations(body).await.unwrap();
    let id = farm.submit(&[&derivation("waits", &[&two])]).await[0];
    let (upload, nar) = text("text", b"about three", &[three.output("out").unwrap()]);
    put(&farm, vec![upload], nar).await.unwrap();
    let pruned = prune(&farm, all(true)).await;
    assert_eq!((pruned.goes.count, pruned.stays.count), (0, 4));
    farm.client.cancel(vec![id]).await.unwrap();
    let pruned = prune(&farm, all(true)).await;
    assert_eq!(paths(&pruned), [out(&two)]);
}
