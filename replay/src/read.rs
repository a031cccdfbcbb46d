//! The text form of a graph.

use std::fmt::Write as _;
use std::str::FromStr;

use crate::config::YEAR_MS;
use crate::graph::{Graph, GraphError, Node, Use};

/// The first line.
const HEADER: &str = "grange-graph 1";

impl Graph {
    /// Reads a graph.
    ///
    /// The first line is `grange-graph 1`. Then a line for each derivation, those that others need before them, with five
    /// or six columns between tabs; `-` stands for nothing:
    ///
    /// 1. store name without `.drv`
    /// 2. system
    /// 3. for a fixed output: the number of the first derivation (from 0) that makes the same
    /// 4. names of the outputs, between commas
    /// 5. inputs, between spaces: `17` is `out` of derivation 17, `17:lib,doc` are others of its outputs
    /// 6. milliseconds that it takes on a machine of speed 1, at most a year
    ///
    /// # Errors
    ///
    /// What is wrong, and in which line. A derivation can only need one that stands before it, so that there is no
    /// circle.
    pub fn read(text: &str) -> Result<Self, GraphError> {
        let mut lines = (1..).zip(text.lines());
        let wrong = |line, what: String| GraphError { line, what };
        match lines.next() {
            Some((_, HEADER)) => {}
            _ => return Err(wrong(1, format!("`{HEADER}` is expected"))),
        }
        let mut graph = Self::default();
        for (line, text) in lines {
            let node = graph.read_node(text).map_err(|what| wrong(line, what))?;
            graph.nodes.push(node);
        }
        Ok(graph)
    }

    fn read_node(&self, text: &str) -> Result<Node, String> {
        let columns: Vec<&str> = text.split('\t').collect();
        let ([name, system, fixed, outputs, inputs] | [name, system, fixed, outputs, inputs, _]) =
            columns[..]
        else {
            let count = columns.len();
            return Err(format!("{count} columns, where 5 or 6 are expected"));
        };
        let duration = columns.get(5).copied().unwrap_or("-");
        let outputs: Vec<String> = outputs.split(',').map(str::to_owned).collect();
        if name.is_empty() || system.is_empty() || outputs.iter().any(String::is_empty) {
            return Err("a name is empty".to_owned());
        }
        if u16::try_from(outputs.len()).is_err() {
            return Err(format!("{} outputs", outputs.len()));
        }
        Ok(Node {
            name: name.to_owned(),
            system: system.to_owned(),
            fixed: self.read_fixed(fixed, outputs.len())?,
            outputs,
            inputs: self.read_inputs(inputs)?,
            duration_ms: read_duration(duration)?,
        })
    }

    fn read_fixed(&self, text: &str, outputs: usize) -> Result<Option<u32>, String> {
        if text == "-" {
            return Ok(None);
        }
        if outputs != 1 {
            return Err("what has a fixed output has no others".to_owned());
        }
        let number: u32 = read_number(text)?;
        let before = self.nodes.get(number as usize);
        let first = match before {
            Some(before) => before.fixed == Some(number),
            None => number as usize == self.nodes.len(),
        };
        if !first {
            return Err(format!("{number} is not the first with a fixed output"));
        }
        Ok(Some(number))
    }

    fn read_inputs(&self, text: &str) -> Result<Vec<Use>, String> {
        let mut inputs = Vec::new();
        for word in text.split(' ').filter(|_| text != "-") {
            let (number, outputs) = word.split_once(':').unwrap_or((word, "out"));
            let node: u32 = read_number(number)?;
            let Some(input) = self.nodes.get(node as usize) else {
                return Err(format!(
                    "input {node} does not stand before it: it is missing, or there is a circle"
                ));
            };
            for name in outputs.split(',') {
                let at = input.outputs.iter().position(|output| output == name);
                let output = at.and_then(|at| u16::try_from(at).ok());
                let output = output.ok_or_else(|| format!("input {node} has no output {name}"))?;
                inputs.push(Use { node, output });
            }
        }
        inputs.sort_unstable();
        inputs.dedup();
        Ok(inputs)
    }

    /// Prints it as [`read`](Self::read) reads it.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for node in &self.nodes {
            let fixed = node
                .fixed
                .map_or_else(|| "-".to_owned(), |first| first.to_string());
            let inputs = node.inputs.chunk_by(|one, next| one.node == next.node);
            let inputs: Vec<String> = inputs.map(|uses| self.print_uses(uses)).collect();
            let inputs = if inputs.is_empty() {
                "-".to_owned()
            } else {
                inputs.join(" ")
            };
            let outputs = node.outputs.join(",");
            let (name, system) = (&node.name, &node.system);
            let duration = node
                .duration_ms
                .map_or_else(String::new, |duration| format!("\t{duration}"));
            writeln!(
                text,
                "{name}\t{system}\t{fixed}\t{outputs}\t{inputs}{duration}"
            )
            .expect("a string takes all that is written to it");
        }
        text
    }

    fn print_uses(&self, uses: &[Use]) -> String {
        let node = uses.first().map_or(0, |one| one.node);
        let names = &self.nodes[node as usize].outputs;
        let names: Vec<&str> = uses
            .iter()
            .map(|one| names[usize::from(one.output)].as_str())
            .collect();
        match names[..] {
            ["out"] => node.to_string(),
            _ => format!("{node}:{}", names.join(",")),
        }
    }
}

fn read_duration(text: &str) -> Result<Option<u64>, String> {
    if text == "-" {
        return Ok(None);
    }
    let duration = read_number(text)?;
    if duration > YEAR_MS {
        return Err(format!("{duration} milliseconds are more than a year"));
    }
    Ok(Some(duration))
}

fn read_number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}
