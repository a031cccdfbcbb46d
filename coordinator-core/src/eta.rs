//! When builds will have ended.
//!
//! Nothing is planned, so this is reckoned when somebody asks, from what is expected of builds. A build ends no sooner than the
//! longest chain of builds that it waits for lets it; and no sooner than the agents that can take it have done what comes
//! before it in their queues. The later of the two is told. The queue flows off as a fluid would: each slot does its share of
//! the work from the moment on at which what it does now has ended (R. L. Graham, "Bounds on multiprocessing timing anomalies",
//! 1969, says how far that can be off).
//!
//! What is not seen: builds that come later and go before, agents that come and go, an order of the policy other than priority
//! and age, resources that keep builds from running side by side, and failures.

use std::collections::BTreeMap;
use std::time::Duration;

use grange_model::{BuildId, Item};

use crate::backlog::{Line, Sums};
use crate::chain::Chain;
use crate::lognormal::LogNormal;
use crate::machine::Core;
use crate::prospect::Prospect;
use crate::queue::Class;
use crate::slab::Ix;
use crate::tables::{Agent, Build, Index, Task, TaskState};

/// How many edges of the graph are followed for one question, however many builds it is about; agents and lines count, too.
pub(crate) const EDGES: usize = 25_000;
/// The logarithm of what was forecast deviates by so much for reasons that are not seen here.
const UNKNOWN: f64 = 0.15;
/// And by this multiple of what single builds took longer or shorter than expected: they are not late independently of each other,
/// since those of which least is known are the same everywhere, and the long ones end last. Chosen by what simulated farms made of
/// forecasts.
const TOGETHER: f64 = 1.0;
/// What single builds are off when nothing is known of them, and when something is, before any has ended.
const SURPRISES: (f64, f64) = (1.5, 0.3);

/// When a build will have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Eta {
    /// It is not among the unfinished ones.
    NotUnfinished,
    /// No agent that is present could take it, or something that it waits for.
    Never {
        /// What nobody could take.
        derivation: Item,
        /// What is missing, in words.
        missing: Vec<String>,
    },
    /// From now on, if nothing new comes before it.
    In {
        /// It has ended by then as likely as not.
        p50: Duration,
        /// It has ended by then in nine cases of ten.
        p90: Duration,
        /// Whether all that it waits for was looked at; else it may take longer.
        complete: bool,
    },
}

/// What was found out to answer one question.
pub(crate) struct Outlook<'a> {
    pub(crate) core: &'a Core,
    pub(crate) sums: BTreeMap<Ix<Line>, Sums<'a>>,
    pub(crate) prospects: BTreeMap<Ix<Class>, Option<Prospect<'a>>>,
    /// What share of what the agents of a class do the group of a line has.
    pub(crate) shares: BTreeMap<(Ix<Class>, Ix<Line>), f64>,
    pub(crate) chains: Index<u32, Chain>,
    /// By which factor a build takes longer than at speed 1, wherever it may come to: mean and variance.
    pub(crate) slower: (f64, f64),
    /// The deviation of the logarithm of whatever is forecast.
    pub(crate) doubt: f64,
    pub(crate) edges: usize,
}

impl Core {
    /// When builds will have ended, each in its place.
    #[must_use]
    pub fn etas(&self, builds: &[BuildId]) -> Vec<Eta> {
        let known = |id| self.names.builds.get(id).copied();
        let mut outlook = Outlook::new(self);
        let etas = builds.iter().map(|id| {
            let build = known(id);
            build.map_or(Eta::NotUnfinished, |ix| outlook.eta(&self.builds[ix]))
        });
        etas.collect()
    }
}

/// From thousandths.
pub(crate) fn speed(speed: u32) -> f64 {
    f64::from(speed.max(1)) / 1e3
}

impl<'a> Outlook<'a> {
    fn new(core: &'a Core) -> Self {
        let agents = core.agents.iter().filter(|(_, agent)| works(agent));
        let (mut slots, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (_, agent) in agents {
            let (parallel, slower) = (
                f64::from(agent.capacity.parallel),
                1.0 / speed(agent.speed()),
            );
            slots += parallel;
            sum += slower * parallel;
            squares += slower * slower * parallel;
        }
        let (none, some) = SURPRISES;
        let first = if core.history.len() == 0 { none } else { some };
        let mean = if slots > 0.0 { sum / slots } else { 1.0 };
        let variance = if slots > 0.0 {
            squares / slots - mean * mean
        } else {
            0.0
        };
        Self {
            core,
            sums: BTreeMap::new(),
            prospects: BTreeMap::new(),
            shares: BTreeMap::new(),
            chains: Index::default(),
            slower: (mean, variance.max(0.0)),
            doubt: UNKNOWN + TOGETHER * core.history.surprise().unwrap_or(first),
            edges: 0,
        }
    }

    fn eta(&mut self, build: &Build) -> Eta {
        let task = build.task;
        let derivation = self.core.tasks[task].derivation;
        let chain = self.chain(derivation, task);
        if chain.never {
            return self.never(chain.root);
        }
        let class = self.class_of(chain.root);
        let (delay, doubt) = self.delay(chain.root, class);
        let (mut mean, mut variance) = (delay + chain.mean, chain.variance + doubt * doubt);
        if self.core.tasks[task].state() == TaskState::Blocked {
            // When its inputs are there, others may still come before it.
            if self.prospect(build.class).is_none() {
                return self.never(task);
            }
            let own = self.anywhere(derivation);
            let (delay, doubt) = self.delay(task, Some(build.class));
            if delay + own.mean() > mean {
                mean = delay + own.mean();
                variance = own.variance() + doubt * doubt;
            }
        }
        let quantiles = LogNormal::with(mean, variance)
            .doubted(self.doubt)
            .quantiles();
        Eta::In {
            p50: Duration::from_millis(quantiles.p50),
            p90: Duration::from_millis(quantiles.p90),
            complete: chain.complete,
        }
    }

    fn never(&self, task: Ix<Task>) -> Eta {
        let row = &self.core.tasks[task];
        let classes = row.classes.iter();
        let missing = classes.flat_map(|class| {
            let class = &self.core.classes.table[*class];
            self.core.nobody_offers(class)
        });
        let mut missing: Vec<_> = missing.collect();
        missing.dedup();
        if missing.is_empty() {
            missing.push("all agents that could take it are paused".to_owned());
        }
        Eta::Never {
            derivation: self.core.derivations[row.derivation].item.clone(),
            missing,
        }
    }
}

/// Whether an agent gets builds.
pub(crate) fn works(agent: &Agent) -> bool {
    agent.is_present() && !agent.record.paused && agent.capacity.parallel > 0
}
