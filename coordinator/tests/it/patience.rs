//! For how long substitute servers of others are asked, and missed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use grange_coordinator::Upstreams;
use grange_coordinator::client::{ClientError, MemorySource};
use grange_derivation::StorePath;
use grange_interfaces::{Body, Fault, ItemInfo, Upstream, UpstreamError};
use grange_model::BuildState;
use grange_testing::MemoryUpstream;

use crate::clock::ManualClock;
use crate::farm::{Farm, Setup, derivation, request};
use crate::upstream::{fetch, out, submit};

/// A server that takes 40 s to find anything, and a coordinator that asks for a minute.
#[derive(Debug)]
struct Slow {
    memory: MemoryUpstream,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Upstream for Slow {
    async fn find(&self, paths: &[StorePath]) -> Vec<Result<Option<ItemInfo>, UpstreamError>> {
        self.clock.advance(Duration::from_secs(40));
        self.memory.find(paths).await
    }

    async fn nar(&self, info: &ItemInfo) -> Result<Body, UpstreamError> {
        self.memory.nar(info).await
    }
}

async fn farm() -> (Farm, Arc<Slow>) {
    let clock = Arc::new(ManualClock::new());
    let slow = Arc::new(Slow {
        memory: MemoryUpstream::new(),
        clock: Arc::clone(&clock),
    });
    let mut setup = Setup {
        clock,
        upstreams: Upstreams {
            items: Some(Arc::clone(&slow) as _),
            derivations: None,
        },
        ..Setup::default()
    };
    setup.config.upstream_patience = Duration::from_mins(1);
    (setup.start().await, slow)
}

#[tokio::test]
async fn what_was_not_asked_for_in_time_is_built() {
    let (farm, slow) = farm().await;
    let base = derivation("base", &[]);
    let middle = derivation("middle", &[&base]);
    let user = derivation("user", &[&middle]);
    slow.memory.add_file(&out(&base), b"base", &[]);
    let all = [&base, &middle, &user];
    let (_, state) = submit(&farm, request(&user), &all).await;
    assert_eq!(state, BuildState::Blocked);
    assert_eq!(slow.memory.asked(), [out(&user), out(&middle)]);
    // Each message has a minute of its own.
    let (_, state) = submit(&farm, request(&base), &[]).await;
    assert_eq!(state, BuildState::Succeeded);
}

#[tokio::test]
async fn who_wants_more_than_is_obtained_in_time_comes_again() {
    let (farm, slow) = farm().await;
    let base = derivation("base", &[]);
    let middle = derivation("middle", &[&base]);
    let user = derivation("user", &[&middle]);
    for one in [&base, &middle, &user] {
        let references: Vec<_> = one.derivation.references().into_iter().collect();
        slow.memory.add_file(&one.path, &one.text, &references);
    }
    let submit = async |wanted| {
        let nothing = Arc::new(MemorySource::new());
        farm.client
            .submit(vec![request(wanted)], nothing, &|_| {})
            .await
    };
    match submit(&user).await {
        Err(ClientError::Refused(refusal)) => assert_eq!(refusal.fault, Fault::Busy, "{refusal}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(slow.memory.asked(), [user.path.clone(), middle.path]);
    submit(&base).await.unwrap();
}

/// What others had counts as gone when none of them has answered for ten minutes.
#[tokio::test]
async fn a_server_that_is_missed_for_too_long_is_not_waited_for() {
    let (farm, slow) = farm().await;
    let base = derivation("base", &[]);
    slow.memory.add_file(&out(&base), b"base", &[]);
    let (_, state) = submit(&farm, request(&base), &[&base]).await;
    assert_eq!(state, BuildState::Succeeded);
    let agent = farm.agent().await;
    let refused = async || fetch(&agent, &out(&base), 0).await.unwrap_err().fault;
    let minutes = |count| slow.clock.advance(Duration::from_mins(count));

    slow.memory.set_down(true);
    assert_eq!(refused().await, Fault::Busy);
    minutes(9);
    assert_eq!(refused().await, Fault::Busy);
    // It is back, once.
    slow.memory.set_down(false);
    fetch(&agent, &out(&base), 0).await.unwrap();
    slow.memory.set_down(true);
    minutes(9);
    assert_eq!(refused().await, Fault::Busy);
    minutes(9);
    assert_eq!(refused().await, Fault::Busy);
    minutes(1);
    assert_eq!(refused().await, Fault::NotFound);
    let (_, state) = submit(&farm, request(&base), &[]).await;
    assert_eq!(state, BuildState::Ready);
}
