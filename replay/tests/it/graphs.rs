//! What is read, drawn and printed.

use std::collections::BTreeSet;

use grange_model::Digest;
use grange_replay::{Copies, Graph, Layers};

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
