//! Reading the journal for a recording.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use grange_coordinator_core::AgentStatus;
use grange_interfaces::{Refusal, Stop};
use grange_model::{AgentId, Fact, FactNumber, NumberedFact, Timestamp};
use grange_recording::{Agent, Cursor, Event, Gap, Line, Sink, header};

use super::lines::{Known, agent};
use super::output::Output;
use crate::convert::store_refusal;
use crate::handle::Handle;
use crate::shared::Shared;

/// How many facts are read at once.
const PAGE: usize = 500;
/// How long after a page the next one is read: facts that come meanwhile are read together.
const PACE: Duration = Duration::from_millis(100);
/// After so many facts of which nothing is recorded, the recording says that it has come so far.
const MARK: u64 = 1_000;
/// How often the agents are looked at, while anything happens.
const AGENTS: Duration = Duration::from_secs(10);

/// Runs until the coordinator stops.
pub(crate) async fn run(shared: Arc<Shared>, handle: Handle, sink: Box<dyn Sink>, stop: Stop) {
    let recorded = sink.cursor();
    let recorder = Recorder {
        output: Output::new(Arc::clone(&shared.clock), sink),
        shared,
        handle,
        written: FactNumber::default(),
        cursor: Cursor {
            fact: FactNumber::default(),
            at: Timestamp::default(),
        },
        agents: BTreeMap::new(),
        looked: None,
    };
    tokio::select! {
        () = stop.stopped() => {}
        () = recorder.record(recorded) => {}
    }
}

#[derive(Debug)]
struct Recorder {
    shared: Arc<Shared>,
    handle: Handle,
    output: Output,
    /// The last fact that is done with.
    cursor: Cursor,
    /// How far the recording says that it has come.
    written: FactNumber,
    /// What was last recorded of each agent.
    agents: BTreeMap<AgentId, Agent>,
    looked: Option<Timestamp>,
}

impl Recorder {
    async fn record(mut self, recorded: Option<Cursor>) {
        let mut newest = self.shared.facts();
        let mut wait = PACE;
        let mut has_begun = false;
        loop {
            let last = *newest.borrow_and_update();
            let done = if !has_begun {
                self.begin(recorded, last).await
            } else if last > self.cursor.fact {
                self.take_page().await
            } else {
                match newest.changed().await {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            };
            match done {
                Ok(()) => {
                    has_begun = true;
                    wait = PACE;
                }
                Err(refusal) => {
                    tracing::warn!(%refusal, "the journal is read again later, to record it");
                    self.shared.clock.sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(30));
                }
            }
        }
    }

    /// Goes on where the recording ends; a new one begins with what happens from now on.
    async fn begin(&mut self, recorded: Option<Cursor>, last: FactNumber) -> Result<(), Refusal> {
        let mut lines = Vec::new();
        match recorded {
            None => {
                self.cursor = self.now_at(last).await?;
                lines = header(self.cursor);
            }
            Some(recorded) => {
                let same = match self.decided_at(recorded.fact).await? {
                    Some(at) => at == recorded.at,
                    // It is long ago, or never was.
                    None => recorded.fact <= last,
                };
                self.cursor = recorded;
                if !same {
                    self.cursor = self.now_at(last).await?;
                    lines.extend(self.gap(recorded.fact));
                }
            }
        }
        self.output.append(lines).await;
        self.written = self.cursor.fact;
        Ok(())
    }

    /// The place of a fact, with the time now if nobody knows when it was decided.
    async fn now_at(&self, fact: FactNumber) -> Result<Cursor, Refusal> {
        let at = self.decided_at(fact).await?;
        let at = at.unwrap_or_else(|| self.shared.clock.now());
        Ok(Cursor { fact, at })
    }

    async fn decided_at(&self, fact: FactNumber) -> Result<Option<Timestamp>, Refusal> {
        let before = FactNumber(fact.0.saturating_sub(1));
        let page = self.shared.datastore.facts(before, 1).await;
        let page = page.map_err(store_refusal)?;
        let found = page.entries.first().filter(|found| found.number == fact);
        Ok(found.map(|found| found.at))
    }

    async fn take_page(&mut self) -> Result<(), Refusal> {
        let page = self.shared.datastore.facts(self.cursor.fact, PAGE).await;
        let page = page.map_err(store_refusal)?;
        let known = Known::look_up(&self.shared, &self.handle, &page.entries).await?;
        let seen = self.look_at_agents(&page.entries).await?;
        // From here on nothing fails: what is written is written once.
        let mut lines = self.changed(seen);
        for fact in &page.entries {
            let before = self.cursor.fact;
            self.cursor = Cursor {
                fact: fact.number,
                at: fact.at,
            };
            if fact.number.0 != before.0 + 1 {
                lines.extend(self.gap(before));
            }
            let event = known.event(&fact.fact);
            let is_far = fact.number.0 >= self.written.0 + MARK;
            if let Some(event) = event.or_else(|| is_far.then_some(Event::Mark)) {
                lines.extend(self.line(event));
                self.written = fact.number;
            }
        }
        self.output.append(lines).await;
        if !page.more {
            self.shared.clock.sleep(PACE).await;
        }
        Ok(())
    }

    /// All agents, if somebody unknown was given something or nobody has looked for some time.
    async fn look_at_agents(&self, facts: &[NumberedFact]) -> Result<Vec<AgentStatus>, Refusal> {
        let has_strangers = facts.iter().any(|fact| match &fact.fact {
            Fact::Started { agent, .. } => !self.agents.contains_key(agent),
            _ => false,
        });
        let now = self.shared.clock.now();
        let is_due = self.looked.is_none_or(|then| now.since(then) >= AGENTS);
        if !has_strangers && !is_due {
            return Ok(Vec::new());
        }
        self.handle.observe(|core| core.agents().collect()).await
    }

    /// Lines about agents that are new or offer something else than before.
    fn changed(&mut self, seen: Vec<AgentStatus>) -> Vec<u8> {
        if !seen.is_empty() {
            self.looked = Some(self.shared.clock.now());
        }
        let mut lines = Vec::new();
        for agent in seen.into_iter().filter_map(agent) {
            if self.agents.get(&agent.id) != Some(&agent) {
                lines.extend(self.line(Event::Agent(agent.clone())));
                self.agents.insert(agent.id, agent);
            }
        }
        lines
    }

    fn gap(&self, after: FactNumber) -> Vec<u8> {
        let to = self.cursor.fact.0;
        tracing::warn!(
            after = after.0,
            to,
            "facts are missing in the recording: the journal has them no more, or is another"
        );
        self.line(Event::Gap(Gap { after }))
    }

    fn line(&self, event: Event) -> Vec<u8> {
        let cursor = self.cursor;
        Line { cursor, event }.print()
    }
}
