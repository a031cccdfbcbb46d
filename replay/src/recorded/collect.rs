//! What a recording says, in one pass.

use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;

use grange_model::{AgentId, AttemptId, BuildId, Digest};
use grange_recording::{Agent, Attempt, Ended, Ending, Event, Lines, Submitted};

use super::RecordedError;
use crate::config::{END_MS, YEAR_MS};

/// What a recording says.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// In the order in which they were first asked for.
    pub(super) derivations: Vec<Derivation>,
    /// Their places there.
    pub(super) numbers: HashMap<Digest, u32>,
    /// In the order in which they were asked for.
    pub(super) builds: Vec<Build>,
    places: HashMap<BuildId, usize>,
    /// Those in which the builder ran to its end.
    pub(super) attempts: BTreeMap<AttemptId, Tried>,
    pub(super) agents: BTreeMap<AgentId, Agent>,
    pub(super) unknown: usize,
    pub(super) gaps: usize,
}

/// A derivation that somebody asked for.
#[derive(Debug)]
pub(super) struct Derivation {
    pub(super) name: String,
    pub(super) system: String,
    pub(super) outputs: Vec<String>,
    pub(super) inputs: Vec<Digest>,
    /// Where that is said.
    pub(super) line: usize,
}

/// A build that somebody asked for.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) derivation: u32,
    pub(super) at_ms: u64,
    pub(super) implicit: bool,
    pub(super) priority: i32,
    pub(super) submitter: String,
    /// It requires something of the agent.
    pub(super) bound: bool,
}

/// An attempt in which the builder ran to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    pub(super) derivation: u32,
    pub(super) agent: AgentId,
    pub(super) assigned_ms: u64,
    pub(super) ended_ms: u64,
    pub(super) succeeded: bool,
}

impl Collected {
    pub(super) fn read(
        mut lines: Lines<impl BufRead>,
        submitter_tag: &str,
    ) -> Result<Self, RecordedError> {
        let mut all = Self::default();
        while let Some(line) = lines.next() {
            let line_number = lines.line();
            let line = line?;
            let at_ms = line.cursor.at.0;
            let taken = match line.event {
                Event::Submitted(submitted) => {
                    all.submitted(at_ms, *submitted, submitter_tag, line_number)
                }
                Event::Ended(ended) => all.ended(&ended),
                Event::Agent(agent) => {
                    all.agent(agent);
                    Ok(())
                }
                Event::Gap(_) => {
                    all.gaps += 1;
                    Ok(())
                }
                _ => Ok(()),
            };
            taken.map_err(|what| RecordedError::Line {
                line: line_number,
                what,
            })?;
        }
        Ok(all)
    }

    fn submitted(
        &mut self,
        at_ms: u64,
        submitted: Submitted,
        submitter_tag: &str,
        line: usize,
    ) -> Result<(), String> {
        check_time(at_ms)?;
        let row = submitted.derivation;
        let count = row.outputs.len();
        if count == 0 || u16::try_from(count).is_err() {
            return Err(format!("a derivation with {count} outputs"));
        }
        let next = u32::try_from(self.derivations.len());
        let next = next.map_err(|_| "too many derivations".to_owned())?;
        let number = *self.numbers.entry(row.id.0).or_insert(next);
        if number == next {
            self.derivations.push(Derivation {
                name: row.name,
                system: row.system,
                outputs: row.outputs,
                inputs: row.inputs.into_iter().map(|input| input.0).collect(),
                line,
            });
        }
        let mut tags = submitted.tags;
        let place = self.builds.len();
        if *self.places.entry(submitted.build).or_insert(place) == place {
            self.builds.push(Build {
                derivation: number,
                at_ms,
                implicit: submitted.implicit,
                priority: submitted.priority,
                submitter: tags.remove(submitter_tag).unwrap_or_else(|| "-".to_owned()),
                bound: !submitted.requires.is_empty(),
            });
        }
        Ok(())
    }

    fn ended(&mut self, ended: &Ended) -> Result<(), String> {
        let Some(place) = self.places.get(&ended.build) else {
            self.unknown += 1;
            return Ok(());
        };
        let derivation = self.builds[*place].derivation;
        for attempt in &ended.attempts {
            if let Some(tried) = tried(derivation, attempt)? {
                self.attempts.entry(attempt.id.0).or_insert(tried);
            }
        }
        Ok(())
    }

    /// The last word counts, but for how much it runs at once: it ran as much.
    fn agent(&mut self, mut agent: Agent) {
        let before = self.agents.get(&agent.id).map_or(1, |it| it.parallel);
        agent.parallel = agent.parallel.max(before);
        self.agents.insert(agent.id, agent);
    }
}

fn tried(derivation: u32, attempt: &Attempt) -> Result<Option<Tried>, String> {
    let succeeded = match attempt.how {
        Ending::Succeeded => true,
        Ending::Failed => false,
        _ => return Ok(None),
    };
    check_time(attempt.ended.0)?;
    if attempt.assigned > attempt.ended {
        return Err(format!("attempt {} ends before it begins", attempt.id.0));
    }
    if attempt.ended.0 - attempt.assigned.0 > YEAR_MS {
        return Err(format!("attempt {} takes more than a year", attempt.id.0));
    }
    Ok(Some(Tried {
        derivation,
        agent: attempt.agent,
        assigned_ms: attempt.assigned.0,
        ended_ms: attempt.ended.0,
        succeeded,
    }))
}

fn check_time(at_ms: u64) -> Result<(), String> {
    if at_ms > END_MS {
        return Err(format!("the time {at_ms} is more than 100,000 years ahead"));
    }
    Ok(())
}
