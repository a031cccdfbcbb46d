//! That large builds get their turn.
//!
//! Counter-example: an agent has 64 GiB, and a build needs all of them. As long as small builds are ready, one of these is
//! begun whenever another ends, and the large one, though it comes first, never finds the agent empty. So it is counted how
//! often it was passed over; when that was often enough, one agent gets nothing that comes later until it is empty enough.

use crate::machine::Core;
use crate::queue::{Class, Place, Turn};
use crate::slab::Ix;
use crate::tables::Agent;

impl Core {
    /// A task is about to be given to an agent: whatever comes before it, and could be taken but for want of something, is
    /// passed over.
    pub(crate) fn pass_over(&mut self, place: &Place, agent: Ix<Agent>) {
        if self.classes.demanding.is_empty() {
            return;
        }
        let row = &self.agents[agent];
        let turn = (self.rank(place.lane), place);
        let passed = self.classes.demanding.iter().copied().filter(|class| {
            let class = &self.classes.table[*class];
            class.fits(row)
                && !row.affords(&class.demand)
                && self.turns(class).next().is_some_and(|first| first < turn)
        });
        for class in passed.collect::<Vec<_>>() {
            let row = &mut self.classes.table[class];
            row.passed = row.passed.saturating_add(1);
            if row.passed >= self.config.policy.patience
                && self.reserved_for(class).is_none()
                && self.reservation(agent).is_none()
            {
                self.classes.table[class].reserved = Some(agent);
                let generation = self.classes.table.generation(class);
                self.agents[agent].reserved = Some((class, generation));
            }
        }
    }

    /// The agent that is kept free for a class, if it still can take what the class has.
    pub(crate) fn reserved_for(&self, class: Ix<Class>) -> Option<Ix<Agent>> {
        let agent = self.classes.table[class].reserved?;
        (self.reservation(agent) == Some(class)).then_some(agent)
    }

    /// The class that an agent is kept free for.
    pub(crate) fn reservation(&self, agent: Ix<Agent>) -> Option<Ix<Class>> {
        let row = self.agents.get(agent)?;
        let (class, generation) = row.reserved?;
        if !self.classes.table.is_current(class, generation) {
            return None;
        }
        let content = self.classes.table.get(class)?;
        let holds = content.reserved == Some(agent)
            && !content.ready.is_empty()
            && row.is_present()
            && !row.record.paused
            && content.fits(row);
        holds.then_some(class)
    }

    /// Whether the agent is kept free for something that comes before this.
    pub(crate) fn is_kept_from(&self, turn: &Turn<'_>, class: Ix<Class>, agent: Ix<Agent>) -> bool {
        let reservation = self
            .reservation(agent)
            .filter(|reserved| *reserved != class);
        reservation.is_some_and(|reserved| {
            let first = self.turns(&self.classes.table[reserved]).next();
            first.is_some_and(|first| first < *turn)
        })
    }
}
