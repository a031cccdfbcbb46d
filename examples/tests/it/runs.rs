//! The graph with each toolchain.

use std::path::Path;

use futures::future::join;
use grange_derivation::StoreDir;
use grange_examples::demo::{self, DemoGraph, Toolchain};

use crate::farm::{Farm, Results};

/// A farm for a graph; none, and a line that says so, where this machine has no namespaces.
async fn farm(graph: &DemoGraph) -> Option<Farm> {
    match Farm::new(graph).await {
        Ok(farm) => Some(farm),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn toolchain() -> Option<Toolchain> {
    let found = Toolchain::find_or_fetch(Path::new(env!("CARGO_TARGET_TMPDIR")));
    found
        .inspect_err(|error| eprintln!("skipped: {error}"))
        .ok()
}

fn check(graph: &DemoGraph, farm: &Farm, results: &Results) {
    let failures = results.failures.join("\n");
    assert_eq!(results.ends, graph.expected, "{failures}");
    assert!(
        failures.contains("check failed: is_leap_year(2000)"),
        "the cause is in the log: {failures}"
    );
    assert!(
        failures.contains("dates: 3 of 10 checks FAILED"),
        "{failures}"
    );
    let output = |name: &str| {
        graph
            .derivation(name)
            .and_then(|made| made.output("out"))
            .expect("it is there")
    };
    let report = String::from_utf8(farm.read(output("test-report"))).expect("it is text");
    assert_eq!(report.matches("checks passed").count(), 11, "{report}");
    assert_eq!(report.matches("as expected").count(), 8, "{report}");
    assert!(
        farm.read(output("pi-digits"))
            .starts_with(b"3.\n14159265358979323846264338327950288419716939937510\n")
    );
}

pub(crate) async fn seeds_build_as_expected_and_twice_the_same() {
    let Some(toolchain @ Toolchain::Seeds { .. }) = toolchain() else {
        eprintln!("skipped: no toolchain could be fetched");
        return;
    };
    let graph = demo::graph(&toolchain, &StoreDir::guix()).expect("the graph can be made");
    let (Some(one), Some(two)) = (farm(&graph).await, farm(&graph).await) else {
        return;
    };
    let (first, second) = join(one.build(&graph), two.build(&graph)).await;
    check(&graph, &one, &first);
    assert_eq!(first.hashes, second.hashes);
}

pub(crate) async fn the_hosts_compiler_builds_as_expected() {
    // What `find_or_fetch` falls back to, even where something better can be had.
    let Ok(toolchain) = Toolchain::host("it was asked for") else {
        eprintln!("skipped: this host has no compiler");
        return;
    };
    let graph = demo::graph(&toolchain, &StoreDir::guix()).expect("the graph can be made");
    let Some(farm) = farm(&graph).await else {
        return;
    };
    let results = farm.build(&graph).await;
    check(&graph, &farm, &results);
}
