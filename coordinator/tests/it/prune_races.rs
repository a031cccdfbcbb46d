//! What happens while a prune goes on.

use std::sync::Arc;
use std::time::Duration;

use grange_derivation::{Instantiated, StorePath};
use grange_interfaces::message::PruneView;
use grange_interfaces::{Fault, Refusal};
use grange_model::{AttemptId, BuildId, BuildState};
use grange_testing::MemoryDatastore;

use crate::agent::{Agent, made, succeeded};
use crate::clock::ManualClock;
use crate::farm::{Farm, Setup, builder, derivation, frames, within};
use crate::gates::{Gate, GatedDatastore};
use crate::items::{put, text};
use crate::prune::{all, build, build_two, check_closures, is_here, out, paths, prune, succeed};

type Gated = Arc<GatedDatastore<MemoryDatastore>>;

/// A farm in memory that can be held up.
async fn gated() -> (Farm, Agent, Gated) {
    let datastore = Arc::new(GatedDatastore::new(MemoryDatastore::new()));
    let setup = Setup {
        datastore: Arc::clone(&datastore) as _,
        clock: Arc::new(ManualClock::new()),
        ..Setup::default()
    };
    let farm = setup.start().await;
    let agent = farm.agent().await;
    (farm, agent, datastore)
}

/// Returns when nobody can do anything more until something opens: where time is paused, it passes only then.
async fn all_wait() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A prune of all that may go; when it waits at the gate, something comes.
async fn prune_while(farm: &Farm, gate: &Gate, comes: impl Future<Output = ()>) -> PruneView {
    gate.close();
    let comes = async {
        gate.is_reached().await;
        comes.await;
        gate.open();
    };
    let (pruned, ()) = within(async { tokio::join!(farm.client.prune(all(true)), comes) }).await;
    pruned.unwrap()
}

/// Something that comes during the prune refers to one of two outputs of a derivation: the other stays, too.
#[tokio::test]
async fn outputs_of_which_one_is_referred_to_meanwhile_stay_together() {
    let (farm, mut agent, datastore) = gated().await;
    let two = build_two(&farm, &mut agent).await;
    let user = derivation("user", &[&two]);
    build(&farm, &mut agent, &user).await;
    let comes = async {
        let (upload, nar) = text("text", b"about doc", &[two.output("doc").unwrap()]);
        put(&farm, vec![upload], nar).await.unwrap();
    };
    let pruned = prune_while(&farm, &datastore.derivations, comes).await;
    assert_eq!(paths(&pruned), [out(&user)]);
    for name in ["out", "doc"] {
        assert!(is_here(&farm, &two.output(name).unwrap().to_string()).await);
    }
}

/// The items are read page by page: a build ends when one output of its derivation would have been on the page that was
/// just read, and the other comes with the next.
#[tokio::test]
async fn an_output_of_which_others_came_unseen_stays() {
    let (farm, mut agent, datastore) = gated().await;
    // Two pages of sources, so that the first one ends in the middle.
    let texts = (0..2_000_u32).map(|number| text("text", &number.to_be_bytes(), &[]));
    let (uploads, nars): (Vec<_>, Vec<_>) = texts.unzip();
    let digest = |path: &str| *StorePath::parse_any(path).unwrap().digest();
    let mut digests: Vec<_> = uploads.iter().map(|upload| digest(&upload.path)).collect();
    digests.sort_unstable();
    put(&farm, uploads, nars.concat()).await.unwrap();
    let unlike = |what: &Instantiated| {
        let [first, second] =
            ["doc", "out"].map(|name| digest(&what.output(name).unwrap().to_string()));
        first < digests[999] && second > digests[999]
    };
    let named = |number: u32| {
        let builder = builder(&format!("two-{number}"))
            .output("out")
            .output("doc");
        builder.instantiate().unwrap()
    };
    let two = (0..).map(named).find(unlike).unwrap();
    farm.submit(&[&two]).await;
    let attempt = agent.take().await.attempt;
    let comes = async {
        let (plain, doc) = (made("out", b"out", &[]), made("doc", b"doc", &[]));
        agent.succeed(attempt, b"", &[&plain, &doc]).await.unwrap();
    };
    let pruned = prune_while(&farm, &datastore.items, comes).await;
    assert_eq!((pruned.goes.count, pruned.stays.count), (0, 2_001));
    assert_eq!(prune(&farm, all(true)).await.goes.count, 2);
}

/// Outputs `low`, `one`, which refers to it, and `other`. Whatever comes needs `one`, so that a prune deletes only the last.
struct Late {
    farm: Farm,
    agent: Agent,
    datastore: Gated,
    low: Instantiated,
    one: Instantiated,
    other: Instantiated,
    user: Instantiated,
}

impl Late {
    async fn new() -> Self {
        let (farm, mut agent, datastore) = gated().await;
        let low = derivation("low", &[]);
        let one = derivation("one", &[&low]);
        let other = derivation("other", &[]);
        for what in [&low, &one, &other] {
            build(&farm, &mut agent, what).await;
        }
        Self {
            user: derivation("user", &[&one]),
            farm,
            agent,
            datastore,
            low,
            one,
            other,
        }
    }

    /// Where `one` lies.
    fn path(&self) -> &StorePath {
        self.one.output("out").unwrap()
    }

    async fn check(&self, pruned: &PruneView) {
        assert_eq!(paths(pruned), [out(&self.other)]);
        assert_eq!(pruned.goes.count, 1);
        assert!(is_here(&self.farm, &out(&self.low)).await);
        check_closures(&self.farm, &[out(&self.one), out(&self.user)]).await;
    }
}

/// A build that needed it ends after the items were read, and does not need it any more when it comes to deleting.
#[tokio::test]
async fn a_result_that_comes_during_a_prune_keeps_what_it_refers_to() {
    let mut late = Late::new().await;
    late.farm.submit(&[&late.user]).await;
    let attempt: AttemptId = late.agent.take().await.attempt;
    let comes = async { succeed(&late.agent, attempt).await.unwrap() };
    let pruned = prune_while(&late.farm, &late.datastore.items, comes).await;
    late.check(&pruned).await;
}

#[tokio::test]
async fn an_item_that_comes_during_a_prune_keeps_what_it_refers_to() {
    let late = Late::new().await;
    let comes = async {
        let (upload, nar) = text("text", b"about one", &[late.path()]);
        put(&late.farm, vec![upload], nar).await.unwrap();
    };
    let pruned = prune_while(&late.farm, &late.datastore.derivations, comes).await;
    late.check(&pruned).await;
}

#[tokio::test]
async fn a_derivation_that_comes_during_a_prune_keeps_its_sources() {
    let late = Late::new().await;
    let comes = async {
        let user = builder("late").source(late.path().clone());
        let user = user.instantiate().unwrap();
        let body = frames(&[(&user.path.to_string(), &user.text)]);
        late.farm.put_derivations(body).await.unwrap();
    };
    let pruned = prune_while(&late.farm, &late.datastore.derivations, comes).await;
    late.check(&pruned).await;
}

/// The core has heard of it only now.
#[tokio::test]
async fn a_build_that_comes_during_a_prune_keeps_its_inputs() {
    let late = Late::new().await;
    let comes = async { drop(late.farm.submit(&[&late.user]).await) };
    let pruned = prune_while(&late.farm, &late.datastore.derivations, comes).await;
    late.check(&pruned).await;
}

/// An item is just being deleted when a client sends what refers to it: it waits, finds it gone, and
/// says so.
#[tokio::test(start_paused = true)]
async fn who_refers_to_what_is_being_deleted_waits() {
    let (farm, mut agent, datastore) = gated().await;
    let one = derivation("one", &[]);
    build(&farm, &mut agent, &one).await;
    let (upload, nar) = text("text", b"about one", &[one.output("out").unwrap()]);
    datastore.removal.close();
    let comes = async {
        datastore.removal.is_reached().await;
        let opens = async {
            all_wait().await;
            datastore.removal.open();
        };
        let (sent, ()) = tokio::join!(put(&farm, vec![upload], nar), opens);
        sent.unwrap_err()
    };
    let (pruned, refusal): (_, Refusal) =
        within(async { tokio::join!(farm.client.prune(all(true)), comes) }).await;
    assert_eq!(pruned.unwrap().goes.count, 1);
    assert_eq!(refusal.fault, Fault::Caller, "{refusal}");
    assert!(
        refusal.message.contains("has to be sent before it"),
        "{refusal}"
    );
}

/// A client hangs up while what it sent is being committed, so that nobody relies on what that refers
/// to any more: the prune reads the records only when the commit is durable.
#[tokio::test(start_paused = true)]
async fn a_prune_waits_for_what_is_being_committed() {
    let (farm, mut agent, datastore) = gated().await;
    let one = derivation("one", &[]);
    build(&farm, &mut agent, &one).await;
    datastore.commit.close();
    let (upload, nar) = text("text", b"about one", &[one.output("out").unwrap()]);
    tokio::select! {
        sent = put(&farm, vec![upload.clone()], nar) => panic!("{sent:?}"),
        () = datastore.commit.is_reached() => {}
    }
    let opens = async {
        all_wait().await;
        datastore.commit.open();
    };
    let (pruned, ()) = within(async { tokio::join!(farm.client.prune(all(true)), opens) }).await;
    assert_eq!(pruned.unwrap().goes.count, 0);
    check_closures(&farm, &[upload.path, out(&one)]).await;
    assert!(is_here(&farm, &out(&one)).await);
}

/// One at a time, and those who report meanwhile are not held up.
#[tokio::test]
async fn prunes_come_one_after_the_other() {
    let (farm, mut agent, datastore) = gated().await;
    let second = async {
        let refused = farm.client.prune(all(true)).await.unwrap_err();
        assert!(refused.to_string().contains("under way"), "{refused}");
        let what = derivation("one", &[]);
        let id: BuildId = farm.submit(&[&what]).await[0];
        let attempt = agent.take().await.attempt;
        let made = made("out", b"x", &[]);
        agent.upload(attempt, &made).await;
        agent.report(attempt, succeeded(&[&made], 0)).await.unwrap();
        assert_eq!(farm.state(id).await, BuildState::Succeeded);
    };
    prune_while(&farm, &datastore.items, second).await;
}
