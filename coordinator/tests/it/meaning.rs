//! What the states mean, from a submission to the end.

use grange_model::BuildState;

use crate::agent::made;
use crate::farm::{Farm, again, derivation, request, until};

#[tokio::test]
async fn what_is_there_is_not_built_again() {
    let farm = Farm::new().await;
    let (base, mut agent) = (derivation("base", &[]), farm.agent().await);
    let user = derivation("user", &[&base]);
    let mut source = grange_coordinator::client::MemorySource::new();
    source.add(&base).add(&user);
    let first = request(&user);
    let build = first.id;
    farm.submit_as(vec![first], source).await;
    for name in ["base", "user"] {
        let assignment = agent.take().await;
        assert!(assignment.derivation.ends_with(&format!("-{name}.drv")));
        let job = agent.job(assignment.attempt).await.unwrap();
        assert_eq!(job.inputs.len(), usize::from(name == "user"));
        let out = made("out", name.as_bytes(), &[]);
        agent
            .succeed(assignment.attempt, b"", &[&out])
            .await
            .unwrap();
    }
    assert_eq!(farm.wait(build).await, BuildState::Succeeded);
    let second = request(&user);
    let id = second.id;
    let accepted = farm.submit_as(vec![second], Default::default()).await;
    assert_eq!(accepted[0].0, BuildState::Succeeded);
    assert!(farm.view(id).await.attempts.is_empty());
    assert_eq!(agent.exchange(&[], 0).await.unwrap().assign, Vec::new());
}

#[tokio::test]
async fn a_failure_is_remembered_until_it_is_tried_again() {
    let farm = Farm::new().await;
    let (base, mut agent) = (derivation("base", &[]), farm.agent().await);
    let user = derivation("user", &[&base]);
    let builds = farm.submit(&[&base, &user]).await;
    let attempt = agent.take().await.attempt;
    agent.fail(attempt, "no luck").await.unwrap();
    assert_eq!(farm.wait(builds[0]).await, BuildState::Failed);
    assert_eq!(farm.wait(builds[1]).await, BuildState::FailedDependency);
    let cause = &farm.view(builds[1]).await.causes[0];
    assert_eq!(
        (cause.root, cause.root_derivation.clone()),
        (builds[0], base.path.to_string())
    );

    let requests = vec![request(&base), request(&user)];
    let ids: Vec<_> = requests.iter().map(|request| request.id).collect();
    let states = farm.submit_as(requests, Default::default()).await;
    assert_eq!(states[0].0, BuildState::Failed);
    assert_eq!(states[1].0, BuildState::FailedDependency);
    let reasons = farm.view(ids[0]).await.reasons;
    assert!(reasons[0].contains("no luck"), "{reasons:?}");
    assert_eq!(agent.exchange(&[], 0).await.unwrap().assign, Vec::new());

    // Tried again it goes well, and what failed for want of it goes on.
    farm.submit_as(vec![again(&base)], Default::default()).await;
    let attempt = agent.take().await.attempt;
    let out = made("out", b"base", &[]);
    agent.succeed(attempt, b"", &[&out]).await.unwrap();
    let attempt = agent.take().await.attempt;
    let out = made("out", b"user", &[]);
    agent.succeed(attempt, b"", &[&out]).await.unwrap();
    for id in [builds[1], ids[1]] {
        until(|| async { farm.state(id).await == BuildState::Succeeded }).await;
    }
    assert_eq!(farm.state(builds[0]).await, BuildState::Failed);
}
