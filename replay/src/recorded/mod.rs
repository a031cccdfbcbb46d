//! A farm that was recorded, to be replayed.

mod asked;
mod collect;
mod ran;

use std::io::BufRead;

use grange_recording::{Lines, ReadError};

use crate::config::ConfigError;
use crate::copies::Copies;
use crate::durations::Durations;
use crate::fleet::{Fleet, Machine};
use crate::outcome::{Built, Outcome};
use crate::workload::Workload;
use asked::Asked;
use collect::Collected;
use ran::Ran;

/// What was asked of a farm, by whom it was built, and when.
///
/// A job is a derivation that ran to its end in the recording, once: it takes as long as its last attempt that succeeded, or, if
/// none did, as its last that failed. That is counted from when its agent had room for it, and has in it what the agent needed to
/// fetch the inputs and to send the outputs. All succeed when they are replayed. What never ran is left out: it was there
/// already, was canceled, lost an input, or waits still. What a job needs and nobody built in the recording is there from the start.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What was asked for and when, from the first request on.
    pub workload: Workload,
    /// The agents, each a machine of speed 1. It also builds for whatever it has built for.
    pub fleet: Fleet,
    /// What the farm made of it.
    pub outcome: Outcome,
    /// How many builds were asked for, those of inputs among them.
    pub builds: usize,
    /// Derivations that somebody asked for and that never ran.
    pub left_out: usize,
    /// Builds that ended, and of which the recording does not say that anybody asked for them: that was before it began, or
    /// in a gap.
    pub unknown: usize,
    /// How often facts are missing.
    pub gaps: usize,
    /// Jobs that only some agents could take, by their tags. Who replays them does not look at that.
    pub bound: usize,
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordedError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What it says cannot be.
    #[error("line {line} of the recording: {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// It is more than can be replayed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing ran.
    #[error("nothing ran to its end in the recording yet")]
    Empty,
}

impl Recorded {
    /// Reads a recording, also one that is being written. Who asked for a build is the value of this tag of it, or `-`.
    ///
    /// # Errors
    ///
    /// What is wrong, and in which line: it is no recording, it has another version, a derivation needs itself.
    pub fn read(from: impl BufRead, submitter_tag: &str) -> Result<Self, RecordedError> {
        let collected = Collected::read(Lines::new(from)?, submitter_tag)?;
        let ran = Ran::new(&collected);
        let asked = Asked::new(&collected, &ran)?;
        if asked.order.is_empty() {
            return Err(RecordedError::Empty);
        }
        let copies = Copies::new(asked.graph, 1);
        let workload = Workload::new(copies, asked.submissions, &Durations::default())?;
        let fleet = Fleet::new(machines(&collected, &ran))?;
        Ok(Self {
            outcome: outcome(&workload, &asked.order, asked.begun_ms, &ran),
            builds: collected.builds.len(),
            left_out: collected.derivations.len() - asked.order.len(),
            unknown: collected.unknown,
            gaps: collected.gaps,
            bound: asked.bound,
            workload,
            fleet,
        })
    }
}

fn machines(collected: &Collected, ran: &Ran) -> Vec<Machine> {
    let mut machines: Vec<Machine> = Vec::new();
    for agent in &ran.agents {
        let known = collected.agents.get(agent);
        machines.push(Machine {
            name: known.map_or_else(|| agent.to_string(), |it| it.name.clone()),
            systems: known.map(|it| it.systems.clone()).unwrap_or_default(),
            speed: 1.0,
            slots: known.map_or(1, |it| it.parallel),
            ahead: known.map_or(0, |it| it.ahead),
        });
    }
    let rows = collected.derivations.iter().zip(&ran.last);
    for (derivation, attempt) in rows {
        let machine = attempt.and_then(|it| machines.get_mut(it.machine));
        if let Some(machine) = machine
            && !machine.systems.contains(&derivation.system)
        {
            machine.systems.push(derivation.system.clone());
        }
    }
    machines
}

fn outcome(workload: &Workload, order: &[u32], begun_ms: u64, ran: &Ran) -> Outcome {
    let since = |at: u64| at.saturating_sub(begun_ms);
    let last = |node: usize| ran.last[order[node] as usize];
    let jobs = (0..).zip(workload.jobs());
    let built = jobs.filter_map(|(job, row)| {
        let node_of = |job| workload.place(job).1 as usize;
        let attempt = last(node_of(job))?;
        let inputs = workload.inputs(job).iter();
        let there = inputs.filter_map(|input| last(node_of(*input)));
        let ready = there.map(|input| since(input.end_ms));
        let start_ms = since(attempt.start_ms);
        Some(Built {
            job,
            machine: u32::try_from(attempt.machine).unwrap_or(u32::MAX),
            slot: attempt.slot,
            // An input may have been built once more, later.
            ready_ms: ready.fold(row.release_ms, u64::max).min(start_ms),
            start_ms,
            end_ms: since(attempt.end_ms),
        })
    });
    let mut built: Vec<Built> = built.collect();
    built.sort_by_key(|it| (it.end_ms, it.job));
    Outcome {
        built,
        wasted_ms: ran.wasted_ms,
        ..Outcome::default()
    }
}
