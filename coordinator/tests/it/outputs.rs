//! Results: those that are not what they say, that come late, or twice.

use std::time::Duration;

use futures::FutureExt;
use grange_derivation::{Hash, Instantiated, nar};
use grange_interfaces::Fault;
use grange_interfaces::message::{Answer, Message, Report};
use grange_model::{AttemptId, BuildState};

use crate::agent::{Made, from_nar, made, succeeded};
use crate::clock::ManualClock;
use crate::farm::{Farm, Setup, again, builder, derivation, request, within};

fn lie(made: &Made, change: impl Fn(&mut Made)) -> Made {
    let mut made = made.clone();
    change(&mut made);
    made
}

/// The report is refused, the build stays, and another agent makes it.
async fn lies(derivation: &Instantiated, lies: Vec<(Made, &str)>, truth: &Made) {
    let farm = Farm::new().await;
    let build = farm.submit(&[derivation]).await[0];
    for (lie, why) in lies {
        // Its word is worth nothing for a while, so each lie needs an agent of its own.
        let mut liar = farm.agent().await;
        let attempt = liar.take().await.attempt;
        let body = crate::farm::body_of(lie.file.clone());
        liar.append(attempt, &lie, 0, body).await.unwrap();
        liar.log(attempt, 0, b"log").await.unwrap();
        let refusal = liar.report(attempt, succeeded(&[&lie], 3)).await;
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.fault, Fault::Peer, "{why}: {refusal}");
        assert!(refusal.message.contains(why), "{why}: {refusal}");
        let view = farm.view(build).await;
        assert_eq!(view.summary.state, BuildState::Ready, "{why}");
        let last = view.setup_failures.last().unwrap();
        assert!(
            last.agent == liar.id && last.message.contains(why),
            "{last:?}"
        );
        assert!(view.outputs.iter().all(|output| !output.available));
        // It is void now.
        let late = liar.report(attempt, succeeded(&[truth], 0)).await;
        assert_eq!(late.unwrap_err().fault, Fault::Conflict);
        // It is there no more, and gets nothing.
        farm.client.delete_agent(liar.id).await.unwrap();
    }
    let mut honest = farm.agent().await;
    let attempt = honest.take().await.attempt;
    honest.succeed(attempt, b"log", &[truth]).await.unwrap();
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
}

#[tokio::test]
async fn outputs_that_are_not_what_they_say_are_refused() {
    let input = derivation("input", &[]);
    let one = builder("one").env("x", "y").instantiate().unwrap();
    let own = one.output("out").unwrap();
    let content = format!("I am {own}");
    let truth = made("out", content.as_bytes(), &[own]);
    let stranger = input.output("out").unwrap().to_string();
    let other = made("out", b"other", &[]).said;
    let junk = |bytes: &[u8]| from_nar("out", bytes, &[]);
    let nar = nar::of_file(content.as_bytes());
    let mut trailing = truth.clone();
    trailing.file.extend(b"trailing");
    trailing.said.file_hash = crate::agent::sha256(&trailing.file);
    trailing.said.file_size += 8;
    let bomb = lie(&from_nar("out", &vec![0; 2 << 20], &[]), |made| {
        made.said.nar_size = 1_000
    });
    let cases = vec![
        (
            lie(&truth, |made| made.said.nar_hash = other.nar_hash.clone()),
            "its hash is",
        ),
        (
            lie(&truth, |made| made.said.nar_hash = "nonsense".into()),
            "its hash is",
        ),
        (lie(&truth, |made| made.said.nar_size += 8), "bytes, not"),
        (
            lie(&truth, |made| made.said.nar_size -= 8),
            "more bytes than",
        ),
        (
            lie(&truth, |made| made.said.file_size += 1),
            "not the one that was announced",
        ),
        (
            lie(&truth, |made| made.said.file_hash = other.file_hash.clone()),
            "not the one that was announced",
        ),
        (
            lie(&truth, |made| made.said.references.clear()),
            "it refers to",
        ),
        (
            lie(&truth, |made| made.said.references.push(stranger.clone())),
            "it refers to",
        ),
        (
            lie(&truth, |made| made.said.references.push("nonsense".into())),
            "is no store path",
        ),
        (
            lie(&truth, |made| made.said.name = "lib".into()),
            "output out was not sent",
        ),
        (junk(b""), "output out"),
        (junk(b"no archive"), "output out"),
        (junk(&nar[..nar.len() - 8]), "output out"),
        (
            junk(&[&nar[..], b"\0\0\0\0\0\0\0\0"].concat()),
            "output out",
        ),
        (trailing, "output out"),
        (bomb, "more bytes than"),
    ];
    lies(&one, cases, &truth).await;
}

#[tokio::test]
async fn fixed_outputs_have_their_content() {
    let hash = Hash::sha256(b"content");
    let flat = builder("flat").fixed(false, hash).instantiate().unwrap();
    let truth = made("out", b"content", &[]);
    let mut executable = Vec::new();
    let mut encoder = nar::Encoder::new(&mut executable);
    encoder.regular(true, 7).unwrap();
    encoder.data(b"content").unwrap();
    encoder.finish().unwrap();
    let cases = vec![
        (made("out", b"Content", &[]), "must have the hash"),
        (from_nar("out", &executable, &[]), "must have the hash"),
    ];
    lies(&flat, cases, &truth).await;
    let hash = Hash::sha256(&nar::of_file(b"content"));
    let recursive = builder("recursive")
        .fixed(true, hash)
        .instantiate()
        .unwrap();
    let cases = vec![
        (made("out", b"Content", &[]), "must have the hash"),
        (from_nar("out", &executable, &[]), "must have the hash"),
    ];
    lies(&recursive, cases, &truth).await;
}

/// Outputs of one attempt are taken together or not at all.
#[tokio::test]
async fn all_outputs_come_together() {
    let farm = Farm::new().await;
    let two = builder("two")
        .output("out")
        .output("lib")
        .instantiate()
        .unwrap();
    let build = farm.submit(&[&two]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let (out, lib) = (made("out", b"out", &[]), made("lib", b"lib", &[]));
    agent.upload(attempt, &out).await;
    let report = succeeded(&[&out, &lib], 0);
    let refusal = agent.report(attempt, report).await.unwrap_err();
    assert_eq!(
        (refusal.fault, &*refusal.message),
        (Fault::Conflict, "output lib has not arrived")
    );
    let view = farm.view(build).await;
    assert!(
        view.outputs.iter().all(|output| !output.available),
        "{view:?}"
    );
    assert_eq!(agent.upload_offset(attempt, &lib).await, Ok(0));
    // Half of one that broke off is no lie.
    let (half, rest) = lib.file.split_at(lib.file.len() / 2);
    let body = crate::farm::body_of(half.to_vec());
    agent.append(attempt, &lib, 0, body).await.unwrap();
    let report = succeeded(&[&out, &lib], 0);
    let refusal = agent.report(attempt, report).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Conflict, "{refusal}");
    let body = crate::farm::body_of(rest.to_vec());
    let at = half.len() as u64;
    agent.append(attempt, &lib, at, body).await.unwrap();
    agent
        .report(attempt, succeeded(&[&out, &lib], 0))
        .await
        .unwrap();
    let view = farm.view(build).await;
    assert!(
        view.outputs.iter().all(|output| output.available),
        "{view:?}"
    );
}

#[tokio::test]
async fn a_report_before_its_log_is_put_off() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    agent.log(attempt, 0, b"half").await.unwrap();
    let failed = || Report::Failed {
        kind: grange_model::FailureKind::Exit(1),
        message: "no".into(),
        log_size: 8,
        usage: grange_model::Usage::default(),
    };
    let refusal = agent.report(attempt, failed()).await.unwrap_err();
    assert_eq!(refusal.fault, Fault::Conflict);
    assert!(
        refusal.message.contains("4 of 8 bytes of the log"),
        "{refusal}"
    );
    assert_eq!(farm.state(build).await, BuildState::Running);
    agent.log(attempt, 4, b"rest").await.unwrap();
    agent.report(attempt, failed()).await.unwrap();
    assert_eq!(farm.state(build).await, BuildState::Failed);
    assert_eq!(crate::logs::read(&farm.client, build).await, b"halfrest");
}

#[tokio::test]
async fn what_comes_after_the_end_is_refused() {
    let farm = Farm::new().await;
    let one = derivation("one", &[]);
    let build = farm.submit(&[&one]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    agent.log(attempt, 0, b"said").await.unwrap();
    farm.client.cancel(vec![build]).await.unwrap();
    let out = made("out", b"late", &[]);
    let body = crate::farm::body_of(out.file.clone());
    let late = [
        agent.append(attempt, &out, 0, body).await.err(),
        agent.log(attempt, 4, b"late").await.err(),
        agent.job(attempt).await.err(),
        agent.report(attempt, succeeded(&[&out], 4)).await.err(),
        agent.fail(attempt, "late").await.err(),
    ];
    for refusal in late {
        assert_eq!(refusal.unwrap().fault, Fault::Conflict);
    }
    assert_eq!(agent.exchange(&[attempt], 0).await.unwrap().drop, [attempt]);
    assert_eq!(farm.state(build).await, BuildState::Canceled);
    // What it said until then is there.
    assert_eq!(crate::logs::read(&farm.client, build).await, b"said");

    // The row of the attempt is used again; its name is not.
    let next = request(&one);
    let id = next.id;
    farm.submit_as(vec![next], Default::default()).await;
    let second = agent.take().await.attempt;
    assert_ne!(second, attempt);
    let late = agent.report(attempt, succeeded(&[&out], 0)).await;
    assert_eq!(late.unwrap_err().fault, Fault::Conflict);
    assert_eq!(farm.state(id).await, BuildState::Running);
}

/// An attempt whose agent was not heard of races with the next; the first that is verified wins.
#[tokio::test]
async fn the_slower_of_two_attempts_is_refused() {
    let clock = std::sync::Arc::new(ManualClock::new());
    let setup = Setup {
        clock: std::sync::Arc::clone(&clock) as _,
        ..Setup::default()
    };
    let farm = setup.start().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let (mut slow, mut fast) = (farm.agent().await, farm.agent().await);
    let first = slow.take().await.attempt;
    let (one, other) = (made("out", b"slow", &[]), made("out", b"fast", &[]));
    slow.log(first, 0, b"slow").await.unwrap();
    slow.upload(first, &one).await;
    let (second, ()) = tokio::join!(fast.take(), async {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(61));
    });
    fast.succeed(second.attempt, b"fast", &[&other])
        .await
        .unwrap();
    let late = slow.report(first, succeeded(&[&one], 4)).await;
    assert_eq!(late.unwrap_err().fault, Fault::Conflict);
    let view = farm.view(build).await;
    assert_eq!(view.summary.state, BuildState::Succeeded);
    assert_eq!(
        view.outputs[0].nar_hash.as_ref(),
        Some(&other.said.nar_hash)
    );
    // Each said something, and both are there to be read.
    let states: Vec<_> = view
        .attempts
        .iter()
        .map(|attempt| &*attempt.state)
        .collect();
    assert_eq!(states.len(), 2, "{states:?}");
    for (attempt, said) in [(first, &b"slow"[..]), (second.attempt, b"fast")] {
        let read = crate::logs::read_attempt(&farm, build, Some(attempt), 0).await;
        assert_eq!(read, said);
    }
}

/// The same report again, while the first is looked at: one of them is taken, nothing is done twice.
#[tokio::test]
async fn a_doubled_report_is_one() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", &[7; 1_000_000], &[]);
    agent.upload(attempt, &out).await;
    agent.log(attempt, 0, b"said").await.unwrap();
    let report = || agent.report(attempt, succeeded(&[&out], 4));
    let call = |message| agent.call(message, None);
    let reports = vec![(attempt, succeeded(&[&out], 4))];
    let message = grange_interfaces::message::Message::Report { reports };
    let (first, second) = tokio::join!(report(), call(message));
    first.unwrap();
    assert_eq!(second.unwrap_err().fault, Fault::Busy);
    assert_eq!(report().await.unwrap_err().fault, Fault::Conflict);
    assert_eq!(farm.state(build).await, BuildState::Succeeded);
    assert_eq!(crate::logs::read(&farm.client, build).await, b"said");
}

/// Who sent it hangs up; the work goes on.
#[tokio::test]
async fn a_report_is_taken_though_its_sender_hangs_up() {
    let farm = Farm::new().await;
    let build = farm.submit(&[&derivation("one", &[])]).await[0];
    let mut agent = farm.agent().await;
    let attempt = agent.take().await.attempt;
    let out = made("out", &[7; 100_000], &[]);
    agent.upload(attempt, &out).await;
    // Looked at once, then dropped.
    let report = agent.report(attempt, succeeded(&[&out], 0)).now_or_never();
    assert_eq!(report, None);
    assert_eq!(farm.wait(build).await, BuildState::Succeeded);
}

/// Evidence of non-determinism is kept; what is served stays what it was.
#[tokio::test]
async fn another_result_is_evidence_and_not_served() {
    let farm = Farm::new().await;
    let one = derivation("one", &[]);
    let build = farm.submit(&[&one]).await[0];
    let mut agent = farm.agent().await;
    let (first, second) = (made("out", b"first", &[]), made("out", b"second", &[]));
    let attempt = agent.take().await.attempt;
    agent.succeed(attempt, b"", &[&first]).await.unwrap();
    let once_more = again(&one);
    let id = once_more.id;
    farm.submit_as(vec![once_more], Default::default()).await;
    assert_eq!(farm.state(id).await, BuildState::Ready);
    let attempt = agent.take().await.attempt;
    agent.succeed(attempt, b"", &[&second]).await.unwrap();
    let output = |view: grange_interfaces::message::BuildView| view.outputs[0].clone();
    let (before, after) = (output(farm.view(build).await), output(farm.view(id).await));
    assert_eq!(
        (before.nar_hash.unwrap(), before.canonical),
        (first.said.nar_hash.clone(), Some(true))
    );
    assert_eq!(
        (after.nar_hash.unwrap(), after.canonical),
        (second.said.nar_hash, Some(false))
    );
    let path = one.output("out").unwrap().to_string();
    let items = within(farm.client.items(vec![path], false)).await.unwrap();
    assert_eq!(items[0].as_ref().unwrap().nar_hash, first.said.nar_hash);
}

/// They are looked at together, and each has its own answer; what is said twice of one attempt is said one after the other.
#[tokio::test]
async fn each_report_of_a_message_has_its_own_answer() {
    let farm = Farm::new().await;
    let all: Vec<_> = (0..5)
        .map(|it| derivation(&format!("one-{it}"), &[]))
        .collect();
    let builds = farm.submit(&all.iter().collect::<Vec<_>>()).await;
    let mut agent = farm.agent().await;
    let mut held = Vec::new();
    while held.len() < all.len() {
        let assigned = agent.exchange(&held, 10_000).await.unwrap().assign;
        held.extend(assigned.iter().map(|it| it.attempt));
    }
    let truth = made("out", b"nothing in particular", &[]);
    let mut wrong = truth.clone();
    wrong.said.nar_size += 1;
    for (at, attempt) in held.iter().enumerate() {
        // The last one is not sent.
        if at < 4 {
            agent.upload(*attempt, &truth).await;
        }
    }
    let stranger = AttemptId {
        generation: 1_000,
        ..held[0]
    };
    let reports = vec![
        (held[0], succeeded(&[&truth], 0)),
        (held[1], succeeded(&[&wrong], 0)),
        (held[0], succeeded(&[&truth], 0)),
        (stranger, succeeded(&[&truth], 0)),
        (held[2], succeeded(&[&truth], 0)),
        (held[3], succeeded(&[&truth], 7)),
        (held[4], succeeded(&[&truth], 0)),
    ];
    let answer = agent.call(Message::Report { reports }, None).await.unwrap();
    let Answer::Reported(refusals) = answer else {
        panic!("{answer:?}");
    };
    let faults: Vec<_> = refusals
        .into_iter()
        .map(|it| it.map(|it| it.fault))
        .collect();
    let conflict = Some(Fault::Conflict);
    // Its blob is sealed by then, and so need not be sent for the last one.
    assert_eq!(
        faults,
        [
            None,
            Some(Fault::Peer),
            conflict,
            conflict,
            None,
            conflict,
            None
        ]
    );
    let mut ended = 0;
    for build in builds {
        ended += usize::from(farm.state(build).await == BuildState::Succeeded);
    }
    assert_eq!(ended, 3);
}
