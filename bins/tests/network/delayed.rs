//! A coordinator at the other end of the world.

use std::time::{Duration, Instant};

use crate::builds::Build;
use crate::farm::{Farm, Setup, can_build, free_address};
use crate::proxy::{Badness, Proxy};

const BUILDS: u64 = 4;

#[test]
fn builds_go_on_over_a_long_line() {
    if !can_build() {
        return;
    }
    let address = free_address();
    let farm = Farm::new(Setup {
        listen: vec![address.to_string()],
        ..Setup::default()
    });
    let badness = Badness {
        delay: Duration::from_millis(200),
        jitter: Duration::from_millis(50),
        ..Badness::default()
    };
    let proxy = Proxy::new(address, badness);
    let url = format!("http://{}", proxy.address);
    let _agent = farm.agent(Vec::new(), "agent", &url, "");
    Build::random(&farm, "first", 100).run(&farm);
    let (before, begun) = (proxy.count(), Instant::now());
    let builds: Vec<_> = (0..BUILDS)
        .map(|n| {
            Build::new(
                &farm,
                &format!("trivial-{n}"),
                "echo hello; echo > $out",
                &[],
            )
        })
        .collect();
    for build in &builds {
        build.run(&farm);
    }
    let (after, took) = (proxy.count(), begun.elapsed());
    let facts = farm.facts();
    builds.iter().for_each(|build| build.check_once(&facts));
    assert!(!facts.iter().any(|fact| fact.what == "expired"));
    let turns = after.turns - before.turns;
    println!(
        "{BUILDS} trivial builds, one after the other, 200 to 250 ms each way: {turns} round trips, {} connections, {took:?}",
        after.connections - before.connections,
    );
    // An exchange that assigns, a job, an output, a report; the log, and exchanges that tell of it.
    assert!(turns <= 12 * BUILDS, "{turns}");
}
