//! What was asked for: a graph, and submissions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::RecordedError;
use super::collect::{Build, Collected};
use super::ran::Ran;
use crate::graph::{Graph, Node, Use};
use crate::workload::Submission;

/// What was asked for and ran.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) graph: Graph,
    /// Of each node the number of its derivation.
    pub(super) order: Vec<u32>,
    pub(super) submissions: Vec<Submission>,
    /// When the first of them came.
    pub(super) begun_ms: u64,
    /// Nodes that require something of the agent.
    pub(super) bound: usize,
}

/// A derivation that did not run has no node.
const NONE: u32 = u32::MAX;

impl Asked {
    pub(super) fn new(collected: &Collected, ran: &Ran) -> Result<Self, RecordedError> {
        let inputs = inputs(collected);
        let order = order(collected, &inputs, ran)?;
        let mut nodes = vec![NONE; inputs.len()];
        for (node, derivation) in (0..).zip(&order) {
            nodes[*derivation as usize] = node;
        }
        let mut bound = vec![false; inputs.len()];
        for build in collected.builds.iter().filter(|build| build.bound) {
            bound[build.derivation as usize] = true;
        }
        let graph = order.iter().map(|derivation| {
            let row = &collected.derivations[*derivation as usize];
            let attempt = ran.last[*derivation as usize];
            let inputs = inputs[*derivation as usize].iter();
            let inputs = inputs.map(|input| nodes[*input as usize]);
            let mut inputs: Vec<u32> = inputs.filter(|node| *node != NONE).collect();
            inputs.sort_unstable();
            Node {
                name: row.name.clone(),
                system: row.system.clone(),
                fixed: None,
                outputs: row.outputs.clone(),
                // Which of its outputs makes no difference: all are there at once.
                inputs: inputs
                    .iter()
                    .map(|node| Use {
                        node: *node,
                        output: 0,
                    })
                    .collect(),
                duration_ms: attempt.map(|it| it.end_ms - it.start_ms),
            }
        });
        let graph = Graph {
            nodes: graph.collect(),
        };
        let (submissions, begun_ms) = submissions(collected, &inputs, &nodes, &graph);
        Ok(Self {
            bound: order.iter().filter(|it| bound[**it as usize]).count(),
            graph,
            order,
            submissions,
            begun_ms,
        })
    }
}

/// Of each derivation the numbers of those that it needs and that somebody asked for, each once.
fn inputs(collected: &Collected) -> Vec<Vec<u32>> {
    let inputs = collected.derivations.iter().map(|row| {
        let numbers = row.inputs.iter().filter_map(|it| collected.numbers.get(it));
        let mut numbers: Vec<u32> = numbers.copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    });
    inputs.collect()
}

/// What ran, what others need before them.
fn order(collected: &Collected, inputs: &[Vec<u32>], ran: &Ran) -> Result<Vec<u32>, RecordedError> {
    let has_run = |derivation: &u32| ran.last[*derivation as usize].is_some();
    let mut users: Vec<Vec<u32>> = vec![Vec::new(); inputs.len()];
    let mut needs = vec![0_usize; inputs.len()];
    let mut ready = BinaryHeap::new();
    for (derivation, inputs) in (0..).zip(inputs).filter(|(it, _)| has_run(it)) {
        for input in inputs.iter().filter(|it| has_run(it)) {
            users[*input as usize].push(derivation);
            needs[derivation as usize] += 1;
        }
        if needs[derivation as usize] == 0 {
            ready.push(Reverse(derivation));
        }
    }
    let mut order = Vec::new();
    while let Some(Reverse(derivation)) = ready.pop() {
        order.push(derivation);
        for user in &users[derivation as usize] {
            let needs = &mut needs[*user as usize];
            *needs -= 1;
            if *needs == 0 {
                ready.push(Reverse(*user));
            }
        }
    }
    let Some(mut at) = needs.iter().position(|needs| *needs > 0) else {
        return Ok(order);
    };
    // Whoever waits needs one that waits, so this comes into the circle.
    let mut seen = vec![false; needs.len()];
    while !std::mem::replace(&mut seen[at], true) {
        let mut waiting = inputs[at].iter().map(|input| *input as usize);
        at = waiting.find(|input| needs[*input] > 0).unwrap_or(at);
    }
    let row = &collected.derivations[at];
    Err(RecordedError::Line {
        line: row.line,
        what: format!("{} needs itself: there is a circle", row.name),
    })
}

/// Whoever asked for something that did not run gets what ran for it. What nobody asked for then was asked for by whoever
/// the recording does not tell of, when its build was made.
fn submissions(
    collected: &Collected,
    inputs: &[Vec<u32>],
    nodes: &[u32],
    graph: &Graph,
) -> (Vec<Submission>, u64) {
    let mut builds: Vec<&Build> = collected.builds.iter().collect();
    builds.sort_by_key(|build| build.at_ms);
    let mut seen = vec![false; nodes.len()];
    let mut reached = vec![false; graph.nodes.len()];
    let mut asked: Vec<(&Build, Vec<u32>)> = Vec::new();
    for build in builds.iter().filter(|build| !build.implicit) {
        let mut derivations = Vec::new();
        let mut open = vec![build.derivation];
        while let Some(derivation) = open.pop() {
            let node = nodes[derivation as usize];
            if node != NONE {
                derivations.push(node);
            } else if !std::mem::replace(&mut seen[derivation as usize], true) {
                open.extend(&inputs[derivation as usize]);
            }
        }
        reach(graph, &mut reached, &derivations);
        asked.push((build, derivations));
    }
    for build in builds.iter().filter(|build| build.implicit) {
        let node = nodes[build.derivation as usize];
        if node != NONE && !reached[node as usize] {
            reach(graph, &mut reached, &[node]);
            asked.push((build, vec![node]));
        }
    }
    asked.retain(|(_, derivations)| !derivations.is_empty());
    asked.sort_by_key(|(build, _)| build.at_ms);
    let begun_ms = asked.first().map_or(0, |(first, _)| first.at_ms);
    let mut submissions: Vec<Submission> = Vec::new();
    for (build, derivations) in asked {
        let at = Duration::from_millis(build.at_ms - begun_ms);
        match submissions.last_mut() {
            Some(last)
                if (last.at, last.priority) == (at, build.priority)
                    && last.submitter == build.submitter =>
            {
                last.derivations.extend(derivations);
            }
            _ => submissions.push(Submission {
                at,
                submitter: build.submitter.clone(),
                priority: build.priority,
                copy: 0,
                derivations,
            }),
        }
    }
    for submission in &mut submissions {
        submission.derivations.sort_unstable();
        submission.derivations.dedup();
    }
    (submissions, begun_ms)
}

/// Marks these and all that they need.
fn reach(graph: &Graph, reached: &mut [bool], from: &[u32]) {
    let mut open = from.to_vec();
    while let Some(node) = open.pop() {
        if !std::mem::replace(&mut reached[node as usize], true) {
            open.extend(graph.nodes[node as usize].inputs.iter().map(|it| it.node));
        }
    }
}
