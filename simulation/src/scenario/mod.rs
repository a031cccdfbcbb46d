//! What a simulation is given: plain data, drawn from a seed, from which parts can be cut out.

mod draw;
mod graph;
mod plan;

pub use plan::{Action, AgentPlan, Cuts, Fault, ParseCutsError, Scenario, StorePlan, Weather};

pub(crate) use draw::{build_id, spec, tags};
