//! Connections on which nothing comes any more, and nobody says so: a firewall has forgotten them.

use std::time::Duration;

use crate::builds::Build;
use crate::farm::{Farm, Setup, can_build, free_address};
use crate::proxy::{Badness, Break, Proxy};

/// Both at the same time, as each mostly waits.
#[test]
fn silent_connections_cost_nothing_but_time() {
    std::thread::scope(|scope| {
        scope.spawn(a_connection_that_has_gone_silent_costs_no_attempt);
        scope.spawn(an_upload_that_has_gone_silent_goes_on_elsewhere);
    });
}

/// The agent notices before its lease has run out that its question will not be answered, and asks
/// again on another connection.
fn a_connection_that_has_gone_silent_costs_no_attempt() {
    if !can_build() {
        return;
    }
    let address = free_address();
    let farm = Farm::new(Setup {
        listen: vec![address.to_string()],
        lease: Some("8s"),
        ..Setup::default()
    });
    let proxy = Proxy::new(address, Badness::default());
    let url = format!("http://{}", proxy.address);
    let _agent = farm.agent(Vec::new(), "agent", &url, "");
    let script = "sleep 20; echo > $out";
    let build = Build::new(&farm, "sleeper", script, &[]);
    build.submit(&farm);
    crate::farm::wait_until("a builder", || build.is(&farm, "building"));
    // Whatever is said then, is said on a new connection.
    std::thread::sleep(Duration::from_secs(1));
    proxy.silence();
    build.wait(&farm);
    let facts = farm.facts();
    assert_eq!(build.count(&facts, "expired"), 0);
    build.check_once(&facts);
}

/// The coordinator waits on the old connection for the rest of an output, and takes it on a new one.
fn an_upload_that_has_gone_silent_goes_on_elsewhere() {
    if !can_build() {
        return;
    }
    let address = free_address();
    let farm = Farm::new(Setup {
        listen: vec![address.to_string()],
        ..Setup::default()
    });
    let proxy = Proxy::new(address, Badness::default());
    let url = format!("http://{}", proxy.address);
    let _agent = farm.agent(Vec::new(), "agent", &url, "");
    Build::random(&farm, "first", 100).run(&farm);
    let large = Build::random(&farm, "large", 20_000_000);
    let before = proxy.count().up;
    proxy.break_at([5_000_000], Break::Silence);
    large.run(&farm);
    let sent = proxy.count().up - before;
    println!("20000000 bytes, silent after 5000000: {sent} bytes sent");
    assert_eq!(proxy.broken(), 1);
    // What the proxy took and did not pass on is sent again.
    assert!(sent < 30_000_000, "{sent}");
    large.check_once(&farm.facts());
    large.fetch(&farm);
}
