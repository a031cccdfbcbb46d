//! The cable is pulled out, for longer than a lease, and put in again.

use std::time::Duration;

use crate::builds::{Build, sha256};
use crate::cable::{COORDINATOR, Cable, Side};
use crate::farm::{Farm, Setup, can_build, wait_until};

const LEASE: Duration = Duration::from_secs(3);
/// Bytes a second that go through, so that what is sent takes its time.
const RATE: u64 = 4 << 20;
/// Bytes that are sent then.
const BYTES: u64 = 16 << 20;

/// Pulls the cable out at one end until the lease has long run out.
fn cut(cable: &Cable, side: Side) {
    cable.set(side, false);
    std::thread::sleep(LEASE + Duration::from_secs(2));
    cable.set(side, true);
}

#[test]
fn a_cable_that_is_pulled_out_costs_nothing_but_time() {
    if !can_build() {
        return;
    }
    let Some(cable) = Cable::new() else { return };
    if !cable.throttle(RATE) {
        return;
    }
    let farm = Farm::new(Setup {
        inside: cable.inside(Side::Coordinator),
        listen: vec![COORDINATOR.to_owned()],
        lease: Some("3s"),
        ..Setup::default()
    });
    let url = format!("http://{COORDINATOR}");
    // What it has sent it fetches again.
    let config = "delete-outputs = true\n";
    let agent = farm.agent(cable.inside(Side::Agent), "far", &url, config);

    // A long poll waits.
    Build::random(&farm, "before", 1000).run(&farm);
    cut(&cable, Side::Coordinator);
    let after = Build::random(&farm, "after", 1000);
    after.run(&farm);

    // A builder runs, and says something all the time.
    let lines =
        "n=0; while [ $n -lt 40 ]; do n=$((n + 1)); echo line $n; sleep 0.1; done; echo > $out";
    let talker = Build::new(&farm, "talker", lines, &[]);
    talker.submit(&farm);
    wait_until("a builder", || talker.is(&farm, "building"));
    cut(&cable, Side::Agent);
    talker.wait(&farm);
    let log = farm.grange(&["build", &talker.id, "log"]);
    let said: Vec<_> = log
        .lines()
        .filter(|line| line.starts_with("line "))
        .collect();
    let expected: Vec<_> = (1..=40).map(|n| format!("line {n}")).collect();
    assert_eq!(said, expected);

    // An output is sent.
    let large = Build::random(&farm, "large", BYTES);
    let before = cable.bytes().0;
    large.submit(&farm);
    wait_until("an output on its way", || {
        cable.bytes().0 > before + BYTES / 4
    });
    cut(&cable, Side::Coordinator);
    large.wait(&farm);
    let sent = cable.bytes().0 - before;

    // An input is fetched.
    let script = "sha256sum < $input0 > $out";
    let reader = Build::new(&farm, "reader", script, &[&large]);
    let before = cable.bytes().1;
    reader.submit(&farm);
    wait_until("an input on its way", || {
        cable.bytes().1 > before + BYTES / 4
    });
    cut(&cable, Side::Coordinator);
    reader.wait(&farm);
    let fetched = cable.bytes().1 - before;

    let read = std::fs::read_to_string(reader.fetch(&farm)).unwrap();
    assert_eq!(read.split(' ').next().unwrap(), sha256(&large.fetch(&farm)));
    let facts = farm.facts();
    let expired = facts.iter().filter(|fact| fact.what == "expired").count();
    println!("{expired} leases of attempts ran out");
    println!("an output of {BYTES} bytes: {sent} bytes on the wire, fetched again: {fetched}");
    for build in [&after, &talker, &large, &reader] {
        build.check_once(&facts);
        // There is but one agent: it has its attempt again, and does not begin it anew.
        assert_eq!(build.count(&facts, "started"), 1);
    }
    let log = agent.log();
    assert_eq!(log.matches("steps::build: building").count(), 5, "{log}");
}

/// Another agent is given what the first one does not answer for; whoever comes first wins, and the
/// other one ends it.
#[test]
fn what_expires_is_tried_elsewhere_and_ends_once() {
    if !can_build() {
        return;
    }
    let Some(cable) = Cable::new() else { return };
    let farm = Farm::new(Setup {
        inside: cable.inside(Side::Coordinator),
        listen: vec![COORDINATOR.to_owned()],
        lease: Some("3s"),
        ..Setup::default()
    });
    let url = format!("http://{COORDINATOR}");
    let far = farm.agent(cable.inside(Side::Agent), "far", &url, "");
    wait_until("an agent", || agents(&farm) == 1);
    let script = "echo > $out; sleep 9";
    let build = Build::new(&farm, "twice", script, &[]);
    build.submit(&farm);
    wait_until("a builder", || build.is(&farm, "building"));
    let near = farm.agent(cable.inside(Side::Coordinator), "near", &url, "");
    wait_until("another agent", || agents(&farm) == 2);
    cut(&cable, Side::Agent);
    build.wait(&farm);
    let facts = farm.facts();
    build.check_once(&facts);
    assert_eq!(build.count(&facts, "started"), 2);
    // What lost the race is dropped, and both take new builds.
    let more: Vec<_> = (0..4)
        .map(|number| {
            Build::new(
                &farm,
                &format!("more-{number}"),
                "sleep 0.5; echo > $out",
                &[],
            )
        })
        .collect();
    more.iter().for_each(|build| build.submit(&farm));
    more.iter().for_each(|build| build.wait(&farm));
    let facts = farm.facts();
    more.iter().for_each(|build| build.check_once(&facts));
    for (agent, name) in [(&far, "far"), (&near, "near")] {
        let log = agent.log();
        assert!(log.contains("steps::build: building"), "{name}: {log}");
    }
}

/// How many agents the coordinator counts on.
fn agents(farm: &Farm) -> usize {
    let text = farm.grange(&["agents", "list", "--json"]);
    let agents = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    agents.filter(|agent| agent["present"] == true).count()
}
