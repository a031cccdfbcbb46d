//! The data.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use grange_coordinator_core::{Capacity, Config};
use grange_model::{AgentId, BuildSpec, DerivationRecord, Digest};

use crate::time::Moment;

/// A farm, and what happens to it until it is healed.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where all chance comes from.
    pub seed: u64,
    /// All derivations, inputs before those that need them.
    pub graph: Vec<DerivationRecord>,
    /// Derivations whose builder always fails.
    pub failing: BTreeSet<Digest>,
    /// What the coordinator is configured with.
    pub config: Config,
    /// The agents.
    pub agents: Vec<AgentPlan>,
    /// What clients and operators do.
    pub actions: Vec<(Moment, Action)>,
    /// What goes wrong at a moment.
    pub faults: Vec<(Moment, Fault)>,
    /// What may go wrong with any message.
    pub weather: Weather,
    /// What may go wrong with any write.
    pub store: StorePlan,
    /// From then on nothing goes wrong.
    pub heal_at: Moment,
}

/// What an agent is like until all is healed.
#[derive(Clone, Debug)]
pub struct AgentPlan {
    /// Its name.
    pub id: AgentId,
    /// What it offers.
    pub capacity: Capacity,
    /// How long its builds take: from a fifth of this to thrice as long, in milliseconds.
    pub build_ms: u64,
    /// How many of its attempts in a thousand end before the builder runs.
    pub setup_failures: u32,
    /// How many of its results in a thousand are not what it says.
    pub lies: u32,
    /// Its clock, compared with true time when all begins, in milliseconds.
    pub offset_ms: i64,
    /// How much faster than true time its clock goes, in millionths.
    pub drift: i64,
}

/// What clients and operators do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Somebody asks for builds, until there is an answer.
    Submit(Vec<BuildSpec>),
    /// Somebody cancels the build that an earlier submission asked for, as long as there is no answer.
    Cancel(grange_model::BuildId),
    /// Somebody sends an item that is an output.
    Send(Digest),
    /// The operator deletes outputs: all of a derivation.
    Prune(Digest),
    /// The operator lets an agent get nothing, or something again.
    Pause(AgentId, bool),
}

/// What goes wrong at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The coordinator dies and is started again so many milliseconds later.
    CrashCoordinator(u64),
    /// Another coordinator takes over, and the first one does not know.
    TakeOver,
    /// An agent dies and is started again so many milliseconds later.
    CrashAgent(usize, u64),
    /// An agent's machine is suspended for so many milliseconds.
    Sleep(usize, u64),
    /// Nothing goes between an agent and the coordinator for so many milliseconds.
    CutAgent(usize, u64),
    /// Nothing that the coordinator answers reaches an agent for so many milliseconds; what it says arrives.
    CutAnswers(usize, u64),
    /// Nothing goes between clients and the coordinator for so many milliseconds.
    CutClients(u64),
    /// Nothing goes anywhere for so many milliseconds.
    CutAll(u64),
    /// An agent's clock is set, by so many milliseconds.
    SetAgentClock(usize, i64),
    /// The coordinator's clock is set, by so many milliseconds.
    SetClock(i64),
    /// Commits and look-ups take so many milliseconds longer, as long.
    Stall(u64),
    /// Commits fail, written or not, and so do look-ups, for so many milliseconds.
    FailCommits(u64),
    /// The disk for uploads takes nothing for so many milliseconds.
    FullDisk(u64),
    /// The hook takes nothing for so many milliseconds.
    FailHook(u64),
}

/// What may go wrong with any message, and how long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// The least, in microseconds.
    pub delay_us: u64,
    /// How much more it may be, in microseconds: messages overtake each other.
    pub jitter_us: u64,
    /// How many in a thousand are lost.
    pub loss: u32,
    /// How many in a thousand come twice.
    pub twice: u32,
    /// How many in a thousand have bytes that were not sent.
    pub garbled: u32,
}

/// What may go wrong with any write, and how long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorePlan {
    /// The least that a commit takes, in microseconds.
    pub commit_us: u64,
    /// How much more it may be.
    pub jitter_us: u64,
    /// How many commits in a thousand fail, written or not; and as many look-ups and seals of blobs.
    pub failures: u32,
    /// How many reads of a blob in a thousand give other bytes.
    pub rot: u32,
}

/// What is cut out of a scenario, by its place: actions, faults, agents, and the weather.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// Actions that are left out.
    pub actions: BTreeSet<usize>,
    /// Faults that are left out.
    pub faults: BTreeSet<usize>,
    /// Agents that are left out; not all of them.
    pub agents: BTreeSet<usize>,
    /// Messages are neither lost nor garbled, and do not come twice.
    pub weather: bool,
    /// Writes do not fail by themselves.
    pub store: bool,
}

impl Scenario {
    /// The same without some of its parts.
    #[must_use]
    pub fn without(&self, cuts: &Cuts) -> Self {
        let mut scenario = self.clone();
        scenario.actions = keep(&self.actions, &cuts.actions);
        scenario.faults = keep(&self.faults, &cuts.faults);
        let agents = keep(&self.agents, &cuts.agents);
        if !agents.is_empty() {
            // What happens to an agent that is left out happens to nobody.
            let place = |at: usize| {
                let before = cuts.agents.range(..at).count();
                (!cuts.agents.contains(&at)).then(|| at - before)
            };
            scenario.faults.retain_mut(|(_, fault)| fault.moves(place));
            scenario.agents = agents;
        }
        if cuts.weather {
            scenario.weather.loss = 0;
            scenario.weather.twice = 0;
            scenario.weather.garbled = 0;
        }
        if cuts.store {
            scenario.store.failures = 0;
            scenario.store.rot = 0;
        }
        scenario
    }
}

impl Fault {
    /// Gives the agent that it befalls another place; whether there is one.
    fn moves(&mut self, place: impl Fn(usize) -> Option<usize>) -> bool {
        let (Self::CrashAgent(at, _)
        | Self::Sleep(at, _)
        | Self::CutAgent(at, _)
        | Self::CutAnswers(at, _)
        | Self::SetAgentClock(at, _)) = self
        else {
            return true;
        };
        place(*at).map(|new| *at = new).is_some()
    }
}

fn keep<T: Clone>(of: &[T], cut: &BTreeSet<usize>) -> Vec<T> {
    let kept = of.iter().enumerate().filter(|(at, _)| !cut.contains(at));
    kept.map(|(_, element)| element.clone()).collect()
}

/// As it is given on a command line: `a0-3,a7,f2,g1,w,s`.
impl fmt::Display for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for (letter, set) in [
            ('a', &self.actions),
            ('f', &self.faults),
            ('g', &self.agents),
        ] {
            let mut places = set.iter().copied().peekable();
            while let Some(first) = places.next() {
                let mut last = first;
                while places.next_if_eq(&(last + 1)).is_some() {
                    last += 1;
                }
                words.push(if first == last {
                    format!("{letter}{first}")
                } else {
                    format!("{letter}{first}-{last}")
                });
            }
        }
        words.extend(self.weather.then(|| "w".to_owned()));
        words.extend(self.store.then(|| "s".to_owned()));
        f.write_str(&words.join(","))
    }
}

/// A text does not say what to cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a cut: `a3`, `a3-7` (actions), `f3` (faults), `g3` (agents), `w` (weather) and `s` (store) are"
)]
pub struct ParseCutsError(String);

impl FromStr for Cuts {
    type Err = ParseCutsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut cuts = Self::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let wrong = || ParseCutsError(word.to_owned());
            let mut letters = word.chars();
            let set = match letters.next() {
                Some('a') => &mut cuts.actions,
                Some('f') => &mut cuts.faults,
                Some('g') => &mut cuts.agents,
                Some('w') if word.len() == 1 => {
                    cuts.weather = true;
                    continue;
                }
                Some('s') if word.len() == 1 => {
                    cuts.store = true;
                    continue;
                }
                _ => return Err(wrong()),
            };
            let places = letters.as_str();
            let (first, last) = places.split_once('-').unwrap_or((places, places));
            let first: usize = first.parse().map_err(|_| wrong())?;
            let last: usize = last.parse().map_err(|_| wrong())?;
            if last > 1_000_000 {
                return Err(wrong());
            }
            set.extend(first..=last);
        }
        Ok(cuts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_written_and_read() {
        let text = "a0-3,a7,f2,g1,w,s";
        let cuts: Cuts = text.parse().unwrap();
        assert_eq!(cuts.to_string(), text);
        assert_eq!("".parse::<Cuts>(), Ok(Cuts::default()));
        for wrong in ["b1", "a", "a1-", "w1", "a1-99999999999"] {
            assert!(wrong.parse::<Cuts>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_befalls_an_agent_stays_with_it() {
        let scenario = Scenario::draw(5);
        assert!(scenario.agents.len() > 1);
        let mut whole = scenario.clone();
        let at = scenario.agents.len() - 1;
        whole.faults = vec![
            (Moment(1), Fault::Sleep(at, 1)),
            (Moment(2), Fault::Sleep(0, 1)),
        ];
        let cuts = Cuts {
            agents: BTreeSet::from([0]),
            ..Cuts::default()
        };
        let rest = whole.without(&cuts);
        assert_eq!(rest.agents.len(), at);
        assert_eq!(rest.faults, [(Moment(1), Fault::Sleep(at - 1, 1))]);
    }
}
