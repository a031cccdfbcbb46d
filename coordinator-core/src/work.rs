//! Work that was put off, so that no call takes long.
//!
//! An output that 39,000 derivations need becomes available: each of them hears of it, but not in
//! one call. Work is done in the order in which it was put off; what an output's users are told, they
//! are told in the order in which it happened.

use crate::io::LookupId;
use crate::machine::Core;
use crate::queue::Class;
use crate::slab::Ix;
use crate::tables::{Agent, Derivation, Output, Status, Task};

/// Something put off. A generation tells a row from one that was filled anew.
#[derive(Debug)]
pub(crate) enum Work {
    /// A derivation's inputs hear of its priority.
    Priority {
        derivation: Ix<Derivation>,
        generation: u32,
    },
    /// An output's users hear of a change; those that joined later know already.
    Users(Notice),
    /// Nobody may need a derivation's implicit builds any more.
    Unwanted {
        derivation: Ix<Derivation>,
        generation: u32,
    },
    /// An agent has come that may not have had a setup failure of tasks that are backed off.
    Wake {
        class: Ix<Class>,
        generation: u32,
        agent: Ix<Agent>,
        agent_generation: u32,
        after: Option<Ix<Task>>,
    },
    /// A request goes on.
    Request(LookupId),
    /// What was learned is written.
    History,
    /// What remains to be done after some derivations is reckoned anew.
    Remaining,
    /// What is expected of derivations is looked up again, from this row on.
    Refresh { from: u32 },
}

/// What the users of an output are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    pub(crate) output: Ix<Output>,
    pub(crate) old: Status,
    pub(crate) new: Status,
    /// Which of the users have not heard of it.
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Core {
    /// Does a slice of it.
    pub(crate) fn do_work(&mut self) {
        self.edges = 0;
        let slice = self.config.slice.max(1);
        while self.edges < slice {
            let Some(work) = self.work.pop_front() else {
                return;
            };
            self.do_some(work, slice);
            self.edges += 1;
        }
    }

    /// Does it, or a part of it.
    fn do_some(&mut self, work: Work, slice: usize) {
        match work {
            Work::Priority {
                derivation,
                generation,
            } => {
                if self.derivations.is_current(derivation, generation) {
                    self.announce_priority(derivation);
                }
            }
            Work::Users(notice) => self.notify(notice, slice),
            Work::Unwanted {
                derivation,
                generation,
            } => {
                if self.derivations.is_current(derivation, generation) {
                    self.end_unwanted(derivation);
                }
            }
            Work::Wake {
                class,
                generation,
                agent,
                agent_generation,
                after,
            } => {
                let current = self.classes.table.is_current(class, generation)
                    && self.agents.is_current(agent, agent_generation);
                if current && let Some(after) = self.wake_some(class, agent, after, slice) {
                    let after = Some(after);
                    self.work.push_front(Work::Wake {
                        class,
                        generation,
                        agent,
                        agent_generation,
                        after,
                    });
                }
            }
            Work::Request(id) => self.go_on(id, slice),
            Work::History => self.write_history(),
            Work::Remaining => {
                if self.reckon(slice) {
                    self.work.push_back(Work::Remaining);
                }
            }
            Work::Refresh { from } => {
                if let Some(from) = self.expect_again(from, slice) {
                    self.work.push_back(Work::Refresh { from });
                }
            }
        }
    }

    fn notify(&mut self, mut notice: Notice, slice: usize) {
        let Notice {
            output, old, new, ..
        } = notice;
        while notice.from < notice.to {
            if self.edges >= slice {
                self.work.push_front(Work::Users(notice));
                return;
            }
            let end = notice.to.min(notice.from + (slice - self.edges));
            let mut concerned = None;
            for (user, generation) in self.outputs[output].users.range(notice.from..end) {
                notice.from += 1;
                self.edges += 1;
                let inputs = self.derivations.current_mut(user, generation);
                if inputs.is_some_and(|inputs| !inputs.change(old, new)) {
                    concerned = Some(user);
                    break;
                }
            }
            if let Some(user) = concerned {
                self.input_changed(user, new);
            }
        }
        self.outputs.hot_mut(output).pending -= 1;
        self.forget_stale_users(output);
        self.drop_output_if_unused(output);
    }

    /// Puts off telling the users of an output.
    pub(crate) fn tell_users(&mut self, output: Ix<Output>, old: Status, new: Status) {
        let to = self.outputs[output].users.len();
        #[cfg(grange_bugs)]
        if self.has_bug(crate::Bug::LostWakeUp) && self.outputs.hot(output).pending > 0 {
            return;
        }
        if to > 0 {
            self.outputs.hot_mut(output).pending += 1;
            self.work.push_back(Work::Users(Notice {
                output,
                old,
                new,
                from: 0,
                to,
            }));
        }
    }
}
