//! The longest chain of builds that a build waits for.

use crate::eta::{EDGES, Outlook, speed};
use crate::lognormal::{LogNormal, larger};
use crate::machine::Core;
use crate::package::package;
use crate::slab::Ix;
use crate::tables::{Attempt, Derivation, Index, Task, TaskState};

/// The longest chain of builds that ends with a derivation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    /// Milliseconds, and their variance.
    pub(crate) mean: f64,
    pub(crate) variance: f64,
    /// What it begins with.
    pub(crate) root: Ix<Task>,
    /// The variance of what that takes: chains that begin with the same task are late together.
    pub(crate) begins: f64,
    /// Nobody could take something that belongs to it.
    pub(crate) never: bool,
    pub(crate) complete: bool,
}

impl Chain {
    /// Whichever of two ends later: that may be either.
    fn or(&self, other: &Self) -> Self {
        let (first, second) = if (self.never, self.mean) >= (other.never, other.mean) {
            (self, other)
        } else {
            (other, self)
        };
        if first.never {
            return *first;
        }
        let common = if first.root == second.root {
            first.begins
        } else {
            0.0
        };
        let of = |chain: &Self| (chain.mean, (chain.variance - common).max(0.0));
        let (mean, variance) = larger(of(first), of(second));
        Self {
            mean,
            variance: variance + common,
            ..*first
        }
    }
}

impl Core {
    pub(crate) fn duration_of(&self, ix: Ix<Derivation>) -> LogNormal {
        let derivation = &self.derivations[ix];
        let name = package(&derivation.item.name);
        LogNormal::of(self.predict_duration(&name, &derivation.kind.system).0)
    }

    /// What is left of an attempt.
    fn left_of(&self, attempt: &Attempt) -> LogNormal {
        let derivation = self.tasks[attempt.task].derivation;
        let passed = self.now.since(attempt.record.assigned_at);
        let duration = self.duration_of(derivation).at_speed(speed(attempt.speed));
        duration.after(passed.as_secs_f64() * 1e3)
    }

    /// The attempt of a task that goes on to count on.
    fn attempt_of(&self, task: Ix<Task>) -> Option<&Attempt> {
        let attempts = self.tasks[task].attempts().iter();
        let mut attempts = attempts.map(|ix| &self.attempts[*ix]);
        attempts.find(|attempt| !attempt.expired)
    }
}

impl Outlook<'_> {
    /// The longest chain that ends with a derivation, one of whose tasks is this.
    pub(crate) fn chain(&mut self, derivation: Ix<Derivation>, task: Ix<Task>) -> Chain {
        if self.core.tasks[task].state() != TaskState::Blocked {
            return self.root(derivation, task);
        }
        let mut path = vec![(derivation, 0)];
        let mut entered: Index<u32, ()> = Index::default();
        while let Some((ix, at)) = path.last_mut() {
            if self.edges > EDGES {
                return Chain {
                    complete: false,
                    ..self.longest(derivation)
                };
            }
            let (ix, inputs) = (*ix, &self.core.derivations[*ix].inputs);
            let Some(input) = inputs.get(*at) else {
                path.pop();
                let chain = self.longest(ix);
                self.chains.insert(ix.0, chain);
                continue;
            };
            *at += 1;
            self.edges += 1;
            let node = &self.core.outputs[*input];
            let producer = node.producers.first().filter(|_| node.is_expected());
            let Some(&producer) = producer else { continue };
            if self.chains.contains_key(&producer.0) {
                continue;
            }
            let task = self.core.foremost(producer);
            match task.map(|task| (task, self.core.tasks[task].state())) {
                Some((_, TaskState::Blocked)) if entered.contains_key(&producer.0) => {}
                Some((_, TaskState::Blocked)) => {
                    entered.insert(producer.0, ());
                    path.push((producer, 0));
                }
                Some((task, _)) => {
                    let chain = self.root(producer, task);
                    self.chains.insert(producer.0, chain);
                }
                None => {}
            }
        }
        self.chains[&derivation.0]
    }

    /// What a derivation takes that has not begun.
    pub(crate) fn anywhere(&self, ix: Ix<Derivation>) -> LogNormal {
        let (mean, variance) = self.slower;
        self.core.duration_of(ix).times(mean, variance)
    }

    /// The longest of the chains of a blocked derivation's inputs, and itself.
    fn longest(&mut self, ix: Ix<Derivation>) -> Chain {
        let own = self.anywhere(ix);
        let task = self.core.foremost(ix).expect("a derivation has a task");
        let row = &self.core.derivations[ix];
        // Where there are very many, some say enough.
        let inputs = row.inputs.iter().take(EDGES.saturating_sub(self.edges / 4));
        self.edges += inputs.len();
        let nodes = inputs.map(|input| &self.core.outputs[*input]);
        let producers = nodes.filter(|node| node.is_expected());
        let producers = producers.filter_map(|node| node.producers.first());
        let mut longest: Option<Chain> = None;
        let mut complete = true;
        for producer in producers {
            let Some(chain) = self.chains.get(&producer.0) else {
                complete = false;
                continue;
            };
            complete &= chain.complete;
            longest = Some(longest.map_or(*chain, |longest| longest.or(chain)));
        }
        let longest = longest.unwrap_or(Chain {
            mean: 0.0,
            variance: 0.0,
            root: task,
            begins: 0.0,
            never: false,
            complete,
        });
        let chain = Chain {
            mean: longest.mean + own.mean(),
            variance: longest.variance + own.variance(),
            complete,
            ..longest
        };
        if !chain.never && self.class_of(task).is_none() {
            return Chain {
                never: true,
                root: task,
                ..chain
            };
        }
        chain
    }

    /// A chain that begins with a derivation: it runs, or somebody may take it.
    fn root(&mut self, ix: Ix<Derivation>, task: Ix<Task>) -> Chain {
        let attempt = self.core.attempt_of(task);
        let own = match attempt {
            Some(attempt) => self.core.left_of(attempt),
            None => self.anywhere(ix),
        };
        let never = attempt.is_none() && self.class_of(task).is_none();
        Chain {
            mean: own.mean(),
            variance: own.variance(),
            root: task,
            begins: own.variance(),
            never,
            complete: true,
        }
    }
}
