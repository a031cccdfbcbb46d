//! What agents send again.

use grange_interfaces::Fault;
use grange_interfaces::message::{Answer, Message, Report};
use grange_model::{BuildState, FailureKind};

use super::farm::{Farm, Made, derivation, exchanged};
use crate::conformance::EndpointBench;

/// "New ones, and those that the coordinator counts on and the agent did not name": an agent that did not hear of
/// its attempt is told of it again, and gets no other.
pub async fn an_exchange_again_gives_the_same(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    farm.submit(&derivation("one")).await;
    let agent = farm.agent().await;
    let told = farm.twice(&agent.peer, agent.exchange(1), None).await;
    let [first, second] = told.each_ref().map(|it| exchanged(it).assign);
    assert_eq!(first.len(), 1, "one build is ready");
    assert_eq!(first, second);
    assert_eq!(farm.count("started").await, 1);
}

/// What an attempt needs can be asked for as long as it is under way.
pub async fn a_job_may_be_asked_for_again(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    farm.submit(&derivation("one")).await;
    let (agent, assigned) = farm.assigned().await;
    let attempt = assigned.attempt;
    let [first, second] = farm
        .twice(&agent.peer, Message::Job { attempt }, None)
        .await;
    assert!(matches!(first, Answer::Job(_)), "{first:?}");
    assert_eq!(first, second);
}

/// "The answer says where to go on": bytes that have arrived are not appended once more.
pub async fn a_log_sent_again_is_there_once(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    farm.submit(&derivation("one")).await;
    let (agent, assigned) = farm.assigned().await;
    let attempt = assigned.attempt;
    let append = Message::AppendLog { attempt, offset: 0 };
    let sent = farm.twice(&agent.peer, append, Some(b"the first line\n"));
    assert_eq!(sent.await, [Answer::Offset(15), Answer::Offset(15)]);
    let offset = Message::LogOffset { attempt };
    let offset = farm.try_ask(&agent.peer, offset, None).await;
    assert_eq!(offset, Ok(Answer::Offset(15)));
}

/// The same for an output, which is what was sent.
pub async fn an_output_sent_again_is_there_once(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let build = farm.submit(&derivation("one")).await;
    let (agent, assigned) = farm.assigned().await;
    let made = Made::file(b"an output");
    let append = made.append(assigned.attempt);
    let sent = farm.twice(&agent.peer, append, Some(&made.file)).await;
    let size = Answer::Offset(made.said.file_size);
    assert_eq!(sent, [size.clone(), size]);
    let report = made.report(assigned.attempt);
    let reported = farm.try_ask(&agent.peer, report, None).await;
    assert_eq!(reported, Ok(Answer::Reported(vec![None])));
    let state = farm.build(build).await.summary.state;
    assert_eq!(state, BuildState::Succeeded);
}

/// A report that was taken is taken once: said again, it is taken or void, and nobody's fault.
pub async fn a_report_again_is_one_end(bench: &impl EndpointBench) {
    let farm = Farm::start(bench).await;
    let build = farm.submit(&derivation("one")).await;
    let (agent, assigned) = farm.assigned().await;
    let report = Report::Failed {
        kind: FailureKind::Exit(1),
        message: "it does not compile".to_owned(),
        log_size: 0,
        usage: grange_model::Usage::default(),
    };
    let reports = vec![(assigned.attempt, report)];
    let [first, second] = farm
        .twice(&agent.peer, Message::Report { reports }, None)
        .await;
    assert_eq!(first, Answer::Reported(vec![None]));
    match second {
        Answer::Reported(answers) => {
            let faults: Vec<_> = answers.iter().flatten().map(|it| it.fault).collect();
            assert!(
                faults.is_empty() || faults == [Fault::Conflict],
                "{answers:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    let view = farm.build(build).await;
    assert_eq!(view.summary.state, BuildState::Failed);
    assert_eq!(view.attempts.len(), 1);
    assert_eq!(farm.count("ended").await, 1);
}
