//! Builds that were killed because memory ran out.

use grange_model::{Fact, MEMORY, Resources, Usage};

use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::{Agent, Attempt, Task};

impl Core {
    /// How much memory to try it with that was killed: half as much again as it had, and at most what the largest agent has
    /// that could take it. None if it had all of that.
    pub(crate) fn more_memory(&self, ix: Ix<Attempt>, usage: Usage) -> Option<u64> {
        let attempt = &self.attempts[ix];
        let total = |agent: &Agent| agent.total(MEMORY);
        let task = &self.tasks[attempt.task];
        let classes = || task.classes.iter().map(|class| &self.classes.table[*class]);
        let could = |agent: &&Agent| {
            let takes = classes().any(|class| agent.takes(&class.system, &class.requires));
            agent.is_present() && takes
        };
        let agents = self.agents.iter().map(|(_, agent)| agent).filter(could);
        let largest = agents.filter_map(total).max()?;
        let needed = attempt.needs.get(MEMORY).copied();
        let half_more = |had: u64| had.saturating_add(had / 2).min(largest);
        let more = needed.max(usage.peak_memory).map_or(largest, half_more);
        (needed.is_none_or(|needed| more > needed)).then_some(more)
    }

    /// Gives a task up on the agent that it was killed on, and lets it wait for one with so much memory.
    pub(crate) fn try_with(
        &mut self,
        ix: Ix<Attempt>,
        memory: u64,
        summary: grange_model::AttemptSummary,
    ) {
        let task = self.attempts[ix].task;
        let record = &self.attempts[ix].record;
        self.ledger.fact(Fact::OutOfMemory {
            attempt: record.id,
            derivation: record.derivation,
            agent: record.agent,
            memory,
        });
        self.add_past(task, summary);
        self.drop_attempt(ix, false);
        let more = Resources::from([(MEMORY.to_owned(), memory)]);
        if self.ask_for(task, &more) {
            self.change_classes(task);
        }
        self.settle_task(task);
    }

    /// A task uses up that much of everything at least: one attempt serves all of its builds. Whether that is more than
    /// before.
    ///
    /// Counter-example: an input is made for somebody who said nothing of it, and then somebody asks for it with 64 GiB. If
    /// it could still go as the former asked, it would be begun beside others.
    pub(crate) fn ask_for(&mut self, task: Ix<Task>, resources: &Resources) -> bool {
        if resources.is_empty() {
            return false;
        }
        let asked = &mut self.tasks[task].tries_mut().asked;
        let mut more = false;
        for (name, amount) in resources {
            let before = asked.entry(name.clone()).or_default();
            more |= *before < *amount;
            *before = (*before).max(*amount);
        }
        more
    }

    /// A task's builds use up something else than before.
    pub(crate) fn change_classes(&mut self, task: Ix<Task>) {
        for build in self.tasks[task].builds.clone() {
            let row = &self.builds[build];
            let (before, ask) = (row.class, std::sync::Arc::clone(&row.ask));
            let class = self.join_class(task, &ask);
            self.builds[build].class = class;
            self.leave_class(task, before);
        }
    }
}
