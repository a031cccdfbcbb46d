//! The test.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grange_bins::connect::client_config;
use grange_coordinator::client::Client;
use grange_interfaces::Peer;
use grange_interfaces::message::FactView;
use grange_model::FactNumber;
use grange_sandbox::{Helper, check_support};
use grange_transport_http::{CoordinatorUrl, HttpEndpoint};

use crate::builds::Build;
use crate::moments::Moment;
use crate::processes::Place;
use crate::random::Random;

/// How often each is killed in each moment.
const KILLS: usize = 20;
/// Each so many builds is followed.
const FOLLOWED: usize = 10;
/// Builds that are still to be done beside the one of a round, at most.
const BEHIND: usize = 4;
/// When something hangs: many times what all of it takes.
const LONGEST: Duration = Duration::from_secs(1_800);

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Whether this machine can build at all; says so if not.
fn can_build() -> bool {
    let agent = PathBuf::from(env!("CARGO_BIN_EXE_grange-agent"));
    match runtime().block_on(check_support(&Helper::Program(agent))) {
        Ok(()) => true,
        Err(error) => {
            println!("skipped: {error}");
            false
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    if !can_build() {
        return;
    }
    let begin = Instant::now();
    let end = begin + LONGEST;
    let mut random = Random::new();
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path());
    let mut coordinator = place.coordinator();
    let mut agent = place.agent();
    let agent_log = directory.path().join("agent.log");
    let mut builds = Vec::new();
    let mut followed = Vec::new();
    for moment in Moment::ALL {
        for round in 0..2 * KILLS {
            let build = Build::new(&place, builds.len());
            let victim = if round % 2 == 0 {
                &mut coordinator
            } else {
                &mut agent
            };
            std::thread::scope(|scope| {
                let watch = moment.watch(&place, &agent_log, round % 2 == 0);
                let submitting = scope.spawn(|| build.submit(&place, end));
                watch.wait(&mut random, end);
                victim.crash();
                submitting.join().unwrap();
            });
            if builds.len() % FOLLOWED == 0 {
                followed.push((builds.len(), build.follow(&place)));
            }
            builds.push(build);
            if let Some(earlier) = builds.len().checked_sub(BEHIND + 1) {
                builds[earlier].wait(&place, end);
            }
        }
        println!(
            "killed {KILLS} times each during {moment:?}: {:?}",
            begin.elapsed()
        );
    }

    let mut logs = Vec::new();
    for build in &builds {
        let view = build.wait(&place, end);
        assert_eq!(view["outputs"][0]["available"], true, "{view:#}");
        logs.push(build.check_log(&place));
        let to = directory.path().join(&build.name);
        let output = build.output.to_string();
        place.grange(&["fetch", &output, "--to", to.to_str().unwrap()]);
        let content = std::fs::read(&to).unwrap();
        assert_eq!(content.len(), build.name.len() + 1 + 500_000);
    }
    for (at, following) in followed {
        let build = &builds[at];
        while !following.is_finished() {
            assert!(Instant::now() < end, "a log that is followed does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let read = following.join().unwrap();
        assert!(
            read == logs[at],
            "{}: {}",
            build.name,
            String::from_utf8_lossy(&read)
        );
    }
    let facts = runtime().block_on(facts(&place));
    for build in &builds {
        check_facts(build, &facts);
    }
    check_results(&agent.whole_log());
    println!("all is there after {:?}", begin.elapsed());
}

/// It ends once, and nothing is begun after that.
fn check_facts(build: &Build, facts: &[FactView]) {
    let own = facts.iter().filter(|fact| {
        let mut ids = fact.builds.iter().map(ToString::to_string);
        ids.any(|id| id == build.id)
    });
    let words: Vec<_> = own.map(|fact| &*fact.what).collect();
    assert_eq!(words.first(), Some(&"submitted"), "{words:?}");
    assert_eq!(words.last(), Some(&"ended"), "{words:?}");
    let count = |wanted| words.iter().filter(|word| **word == wanted).count();
    // An agent that is killed is given its attempt again: it is no other attempt.
    assert_eq!(
        (count("submitted"), count("started"), count("ended")),
        (1, 1, 1),
        "{words:?}"
    );
}

/// A result that lies on the agent's disk survives the agent: it is sent, and not made again.
fn check_results(log: &str) {
    let attempt = |line: &str| Some(line.split_once("attempt=")?.1.split(' ').next()?.to_owned());
    let mut left = BTreeSet::new();
    for line in log.lines() {
        if line.contains("an earlier run left a result") {
            left.extend(attempt(line));
        } else if line.contains("steps::build: building") {
            let begun = attempt(line).expect("it names its attempt");
            assert!(
                !left.contains(&begun),
                "attempt {begun} was done, and begun again"
            );
        }
    }
    println!(
        "{} results were sent by a later run of the agent",
        left.len()
    );
}

async fn facts(place: &Place) -> Vec<FactView> {
    let url: CoordinatorUrl = place.admin.parse().unwrap();
    let endpoint = HttpEndpoint::connect(url, client_config(None, "crash test")).unwrap();
    let client = Client::new(Arc::new(endpoint), Peer::Local);
    let (facts, _) = client.facts(Some(FactNumber(0)), 0).await.unwrap();
    facts
}
