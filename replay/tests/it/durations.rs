//! How long builds are said to take.

use grange_replay::{Durations, Graph};

#[test]
fn a_package_takes_about_as_long_in_each_version() {
    let graph = Graph::guix();
    let durations = Durations::default();
    let node = |name| &graph.nodes()[graph.find(name).unwrap() as usize];
    let hello = node("hello-2.12.2");
    assert_eq!(hello.package(), "hello");
    assert_eq!(
        node("texlive-scheme-full-2025.2").package(),
        "texlive-scheme-full"
    );
    let first = durations.of(hello, 0);
    assert_eq!(durations.of(hello, 0), first);
    for version in 1..20 {
        let other = durations.of(hello, version) as f64 / first as f64;
        assert!(other != 1.0 && (0.5..2.0).contains(&other), "{other}");
    }
    let other = Durations {
        seed: 6,
        ..durations
    };
    assert_ne!(other.of(hello, 0), first);
}

#[test]
fn most_builds_are_short_and_few_are_long() {
    let graph = Graph::guix();
    let durations = Durations::default();
    let of = |fixed: bool| {
        let nodes = graph
            .nodes()
            .iter()
            .filter(|node| node.fixed.is_some() == fixed);
        let mut all: Vec<u64> = nodes.map(|node| durations.of(node, 0)).collect();
        all.sort_unstable();
        all
    };
    let built = of(false);
    let median = built[built.len() / 2];
    assert!((40_000..55_000).contains(&median), "{median}");
    assert_eq!(built.last(), Some(&43_200_000));
    // The longest hundredth is a good part of the work.
    let sum = |all: &[u64]| all.iter().sum::<u64>() as f64;
    let share = sum(&built[built.len() * 99 / 100..]) / sum(&built);
    assert!((0.2..0.6).contains(&share), "{share}");
    let fixed = of(true);
    let median = fixed[fixed.len() / 2];
    assert!((1_500..2_500).contains(&median), "{median}");
}

#[test]
fn what_the_graph_says_goes_before_the_model() {
    let text = "grange-graph 1\na\tx86_64-linux\t-\tout\t-\t1234\nb\tx86_64-linux\t-\tout\t0\t0\n";
    let graph = Graph::read(text).unwrap();
    assert_eq!(graph.print(), text);
    let durations = Durations::default();
    assert_eq!(durations.of(&graph.nodes()[0], 3), 1234);
    assert_eq!(durations.of(&graph.nodes()[1], 3), 1);
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let text = include_str!("../../data/durations.toml");
    for (from, to, expected) in [
        (
            "median = 45.0",
            "median = -1",
            "durations: [built]: median -1 is not above 0",
        ),
        (
            "tail = 0.02",
            "tail = 2.0",
            "durations: [built]: tail 2 is not between 0 and 1",
        ),
        (
            "longest = 43200.0",
            "longest = 1e9",
            "durations: [built]: longest 1000000000 is more than a year",
        ),
        (
            "varies = 0.1 ",
            "varies = -1 ",
            "durations: [built]: varies -1 is below 0",
        ),
    ] {
        let error = Durations::read(&text.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = Durations::read("seed = 1\nx = 2").unwrap_err().to_string();
    assert!(
        error.starts_with("durations: line 2: unknown field `x`"),
        "{error}"
    );
}
