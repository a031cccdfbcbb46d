//! A line with little room: what is large does not keep out what is urgent.

use std::time::Duration;

use crate::builds::Build;
use crate::cable::{COORDINATOR, Cable, Side};
use crate::farm::{Farm, Setup, can_build, free_address};
use crate::proxy::{Badness, Proxy};

/// Bytes a second.
const RATE: u64 = 1_000_000;
const BYTES: u64 = 30_000_000;

/// Both at the same time, as each mostly waits.
#[test]
fn exchanges_are_not_starved() {
    std::thread::scope(|scope| {
        scope.spawn(exchanges_are_not_starved_by_an_upload);
        scope.spawn(exchanges_are_not_starved_on_the_same_connection);
    });
}

fn exchanges_are_not_starved_by_an_upload() {
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
        lease: Some("6s"),
        ..Setup::default()
    });
    let url = format!("http://{COORDINATOR}");
    builds_go_on(&farm, cable.inside(Side::Agent), &url, "");
}

/// With TLS all calls share one connection.
fn exchanges_are_not_starved_on_the_same_connection() {
    if !can_build() {
        return;
    }
    let address = free_address();
    let farm = Farm::new(Setup {
        listen: vec![address.to_string()],
        lease: Some("6s"),
        tls: true,
        ..Setup::default()
    });
    let badness = Badness {
        rate: Some(RATE),
        ..Badness::default()
    };
    let proxy = Proxy::new(address, badness);
    let url = format!("https://{}", proxy.address);
    let config = format!("ca = \"{}\"\n", farm.ca().display());
    builds_go_on(&farm, Vec::new(), &url, &config);
}

/// Makes a large output go up while others say something, and come and go.
fn builds_go_on(farm: &Farm, inside: Vec<String>, url: &str, config: &str) {
    let config = format!("{config}max-parallel-builds = 2\n");
    let agent = farm.agent(inside, "agent", url, &config);
    let large = Build::random(farm, "large", BYTES);
    large.submit(farm);
    let lines =
        "n=0; while [ $n -lt 150 ]; do n=$((n + 1)); echo line $n; sleep 0.1; done; echo > $out";
    let talker = Build::new(farm, "talker", lines, &[]);
    talker.submit(farm);
    let mut meanwhile = Vec::new();
    while large.show(farm)["build"]["state"] != "succeeded" {
        let number = meanwhile.len();
        assert!(number < 500, "the large one does not end");
        let build = Build::new(farm, &format!("small-{number}"), "echo > $out", &[]);
        build.run(farm);
        meanwhile.push(build);
        std::thread::sleep(Duration::from_millis(300));
    }
    talker.wait(farm);
    large.wait(farm);
    let facts = farm.facts();
    let expired = facts.iter().filter(|fact| fact.what == "expired").count();
    println!(
        "{} builds meanwhile, {expired} attempts expired",
        meanwhile.len()
    );
    assert_eq!(expired, 0, "{}", agent.log());
    assert!(meanwhile.len() >= 5, "{}", meanwhile.len());
    for build in meanwhile.iter().chain([&large, &talker]) {
        build.check_once(&facts);
    }
}
