//! What is read, drawn and printed.

use std::collections::BTreeSet;
use std::time::Duration;

use grange_model::Digest;
use grange_replay::{Copies, Durations, Fleet, Graph, Layers, Submission, Workload};

use crate::farms::{TWO, run};

#[test]
fn all_of_guix_is_there() {
    let graph = Graph::guix();
    assert_eq!(graph.nodes().len(), 71_764);
    assert_eq!(graph.uses(), 1_635_116);
    assert_eq!(graph.tops().len(), 10_078);
    let hello = &graph.nodes()[graph.find("hello-2.12.2").unwrap() as usize];
    assert_eq!(hello.outputs, ["out"]);
    assert_eq!(graph.find("no-such-thing"), None);
    let most = graph.nodes().iter().map(|node| {
        let makers: BTreeSet<u32> = node.inputs.iter().map(|input| input.node).collect();
        (makers.len(), node.name.as_str())
    });
    assert_eq!(most.max(), Some((4_551, "texlive-scheme-full-2025.2")));
}

#[test]
fn a_graph_is_printed_as_it_is_read() {
    let text = "grange-graph 1\nsource\tx86_64-linux\t0\tout\t-\nagain\ti686-linux\t0\tout\t-\n\
                lib\tx86_64-linux\t-\tout,doc\t0\nuser\tx86_64-linux\t-\tout\t1 2:out,doc\n";
    let graph = Graph::read(text).unwrap();
    assert_eq!(graph.nodes()[3].inputs.len(), 3);
    assert_eq!(graph.print(), text);
    let drawn = Layers {
        nodes: 100,
        width: 10,
        degree: 4,
        seed: 1,
    }
    .draw();
    assert_eq!(Graph::read(&drawn.print()).unwrap(), drawn);
}

#[test]
fn what_is_no_graph_is_refused_by_line() {
    let line = "a\tx86_64-linux\t-\tout\t-";
    for (text, expected) in [
        ("", "line 1 of the graph: `grange-graph 1` is expected"),
        (
            "grange-graph 2",
            "line 1 of the graph: `grange-graph 1` is expected",
        ),
        (
            "grange-graph 1\na\tb",
            "line 2 of the graph: 2 columns, where 5 or 6 are expected",
        ),
        (
            "grange-graph 1\n\ts\t-\tout\t-",
            "line 2 of the graph: a name is empty",
        ),
        (
            "grange-graph 1\na\ts\t-\tout,\t-",
            "line 2 of the graph: a name is empty",
        ),
        (
            "grange-graph 1\na\ts\t-\tout\t0",
            "line 2 of the graph: input 0 does not stand before it: it is missing, or there is a circle",
        ),
        (
            "grange-graph 1\na\ts\t-\tout\tx",
            "line 2 of the graph: `x` is no number",
        ),
        (
            "grange-graph 1\na\ts\t-\tout\t-\t31536000001",
            "line 2 of the graph: 31536000001 milliseconds are more than a year",
        ),
        (
            "grange-graph 1\na\ts\t1\tout\t-",
            "line 2 of the graph: 1 is not the first with a fixed output",
        ),
        (
            "grange-graph 1\na\ts\t0\tout,doc\t-",
            "line 2 of the graph: what has a fixed output has no others",
        ),
        (
            "grange-graph 1\n{}\nb\ts\t0\tout\t-",
            "line 3 of the graph: 0 is not the first with a fixed output",
        ),
        (
            "grange-graph 1\n{}\nb\ts\t-\tout\t0:lib",
            "line 3 of the graph: input 0 has no output lib",
        ),
    ] {
        let text = text.replace("{}", line);
        let error = Graph::read(&text).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn copies_have_items_of_their_own() {
    let text = "grange-graph 1\nsource\tx86_64-linux\t0\tout\t-\nagain\ti686-linux\t0\tout\t-\n\
                lib\tx86_64-linux\t-\tout,doc\t0\nuser\tx86_64-linux\t-\tout\t1 2:doc\n";
    let copies = Copies::new(Graph::read(text).unwrap(), 3);
    let mut derivations = BTreeSet::new();
    let mut outputs = BTreeSet::new();
    for (copy, node) in copies.all() {
        let record = copies.record(copy, node);
        assert_eq!(copies.locate(record.item.digest), Some((copy, node)));
        derivations.insert(record.item.digest);
        outputs.extend(record.outputs.iter().map(|output| output.item.digest));
        for input in &record.inputs {
            assert!(derivations.contains(&input.derivation));
            assert!(outputs.contains(&input.output));
        }
    }
    assert_eq!(derivations.len(), copies.len());
    // `source` and `again` make one output.
    assert_eq!(outputs.len(), 3 * 4);
    assert_eq!(copies.record(0, 2).outputs[1].item.name, "lib-doc");
    assert_eq!(copies.locate(Copies::digest(3, 0)), None);
    assert_eq!(copies.locate(Copies::digest(0, 4)), None);
    assert_eq!(copies.locate(Digest([0; 20])), None);
}

#[test]
fn more_derivations_than_memory_holds_are_refused() {
    let copies = Copies::new(drawn(), u32::MAX);
    let durations = Durations::default();
    let error = Workload::each_copy(copies, Duration::MAX, 1, &durations).unwrap_err();
    assert_eq!(
        error.to_string(),
        "workload: 4294967295 times 300 derivations; at most 10000000 in all"
    );
    let late = Workload::each_copy(Copies::new(drawn(), 3), Duration::MAX, 1, &durations);
    let error = late.unwrap_err().to_string();
    assert_eq!(error, "workload: a submission after 100,000 years");
}

#[test]
fn what_did_not_change_needs_what_it_needed_before() {
    // The tool changes from one evaluation to the next, and the source does not: its output is fixed.
    let text = "grange-graph 1\ntool\tx86_64-linux\t-\tout\t-\t1000\n\
                source\tx86_64-linux\t1\tout\t0\t1000\n\
                user\tx86_64-linux\t-\tout\t0 1\t1000\n";
    let copies = Copies::evaluations(Graph::read(text).unwrap(), 2, 1.0, 1);
    assert_eq!((copies.origin(1, 0), copies.origin(1, 1)), (1, 0));
    let submission = Submission {
        at: Duration::ZERO,
        submitter: "somebody".to_owned(),
        priority: 0,
        copy: 1,
        derivations: vec![2],
    };
    let workload = Workload::new(copies, vec![submission], &Durations::default()).unwrap();
    let places: Vec<(u32, u32)> = (0..4).map(|job| workload.place(job)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0), (1, 2)]);
    assert_eq!(workload.inputs(1), [0]);
    assert_eq!(workload.inputs(3), [1, 2]);
    let fleet = Fleet::read(TWO).unwrap();
    assert_eq!(run(&workload, &fleet, "fifo").built.len(), 4);
}

#[test]
fn systems_take_turns() {
    let layers = Layers {
        nodes: 5,
        width: 3,
        degree: 2,
        seed: 1,
    };
    let drawn = layers.draw();
    let graph = drawn.clone().on(&["one", "two"]);
    let systems: Vec<&str> = graph.nodes().iter().map(|it| it.system.as_str()).collect();
    assert_eq!(systems, ["one", "two", "one", "two", "one"]);
    assert_eq!(graph.nodes()[4].inputs, drawn.nodes()[4].inputs);
    assert_eq!(drawn.clone().on(&[]), drawn);
}

#[test]
fn evaluations_share_what_did_not_change() {
    let copies = Copies::evaluations(drawn(), 3, 0.05, 1);
    assert!(
        copies.len() > 300 && copies.len() < 3 * 300,
        "{}",
        copies.len()
    );
    let mut known = BTreeSet::new();
    for (copy, node) in copies.all() {
        let record = copies.record(copy, node);
        assert_eq!(copies.locate(record.item.digest), Some((copy, node)));
        let mut inputs = record.inputs.iter();
        assert!(inputs.all(|input| known.contains(&input.derivation)));
        known.insert(record.item.digest);
    }
    assert_eq!(known.len(), copies.len());
    // Whatever needs what changed has changed.
    for node in 0..300_u32 {
        let changed = copies.origin(1, node) == 1;
        let inputs = &copies.graph().nodes()[node as usize].inputs;
        let input = inputs.iter().any(|it| copies.origin(1, it.node) == 1);
        assert!(changed || !input);
    }
    assert_eq!(Copies::evaluations(drawn(), 3, 0.0, 1).len(), 300);
    assert_eq!(Copies::evaluations(drawn(), 3, 1.0, 1).len(), 900);
}

fn drawn() -> Graph {
    let layers = Layers {
        nodes: 300,
        width: 30,
        degree: 3,
        seed: 7,
    };
    layers.draw()
}
