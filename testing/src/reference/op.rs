//! What happens to a farm, one after the other.

use super::sketch::{DerivationSketch, Sketch};

/// More operations than this a script from bytes does not have.
const MAX_OPS: usize = 200;

/// Something happens. Numbers name what is there, modulo how many there are; if there is none, nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Somebody asks for builds.
    Submit {
        /// Which; at most four are taken.
        builds: Vec<Want>,
    },
    /// Two ask for builds under one name at the same time.
    Collide {
        /// What the first asks for.
        first: Want,
        /// Of which derivation the second asks for one.
        derivation: u8,
    },
    /// Somebody cancels an unfinished build.
    Cancel {
        /// Which.
        build: u8,
    },
    /// Somebody uploads an output that is not here.
    Upload {
        /// Which.
        output: u8,
    },
    /// An output is found upstream.
    Upstream {
        /// Which.
        output: u8,
    },
    /// An output that only others have cannot be had there any more.
    Gone {
        /// Which.
        output: u8,
        /// It is there again before anybody has heard of it.
        returns: bool,
    },
    /// The operator wants outputs gone.
    Prune {
        /// The first.
        output: u8,
        /// Whether the next one shall go, too.
        two: bool,
    },
    /// An agent is made, if it is not there; there are up to four.
    Agent {
        /// Which.
        agent: u8,
    },
    /// The operator pauses an agent, or lets it go on.
    Pause {
        /// Which.
        agent: u8,
        /// Whether it shall pause.
        paused: bool,
    },
    /// The operator says what an agent offers.
    Tags {
        /// Which.
        agent: u8,
        /// Modulo four: what.
        offers: u8,
    },
    /// An agent is deleted.
    Delete {
        /// Which.
        agent: u8,
    },
    /// An agent says what it holds.
    Exchange {
        /// Which.
        agent: u8,
        /// Modulo eight: 0 its process has begun anew and has forgotten everything, 1 begun anew but remembers, 2 it names an attempt of earlier,
        /// 3 it is late and was overtaken, 4 it uploads all that it holds; else nothing special.
        says: u8,
        /// Modulo eight: what it can take.
        offers: u8,
        /// Whether it waits for something to do.
        waits: bool,
    },
    /// An attempt has ended.
    Report {
        /// Which of those that ever were, the last first.
        attempt: u8,
        /// How.
        outcome: Outcome,
        /// Another agent than the one that has it says so.
        by_another: bool,
    },
    /// Time passes.
    Pass {
        /// How many seconds.
        seconds: u8,
    },
    /// The coordinator ends and another begins on what is durable.
    Restart,
    /// The follower that reopens builds hears of facts, up to the next output that has become available.
    Follow,
    /// The coordinator is ended while it does this, and asked for it again when it is back.
    Cut {
        /// What it does: [`Op::Submit`], [`Op::Follow`], [`Op::Report`] or [`Op::Cancel`]; others are not cut.
        op: Box<Self>,
        /// How many commits are durable by then.
        commits: u8,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All outputs were made.
    Success,
    /// Outputs were made that are not those of the derivation.
    WrongOutputs,
    /// The builder failed.
    Failure,
    /// The disk was full.
    DiskFull,
    /// The first input was missing.
    MissingInput,
}

/// A build that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Of which derivation; one number names none that there is.
    pub derivation: u8,
    /// Modulo seven, less three.
    pub priority: u8,
    /// Modulo six: 0 and 1 require something of the agent.
    pub requires: u8,
    /// It wants an attempt of its own.
    pub again: bool,
    /// Builds are made for inputs that nobody has tried.
    pub inputs: bool,
    /// Modulo eight: 0 is the name of an earlier build, else a new one.
    pub name: u8,
}

/// A farm and what happens to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The farm.
    pub sketch: Sketch,
    /// What happens.
    pub ops: Vec<Op>,
}

impl Script {
    /// Any bytes are a script; at most 200 operations are read.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut from = Bytes(bytes);
        let count = 1 + from.next() % 16;
        let small_slices = from.flag();
        let derivations = (0..count).map(|_| DerivationSketch::read(&mut from));
        let sketch = Sketch {
            derivations: derivations.collect(),
            small_slices,
        };
        let mut ops = Vec::new();
        while !from.0.is_empty() && ops.len() < MAX_OPS {
            ops.push(Op::read(&mut from));
        }
        Self { sketch, ops }
    }
}

/// Bytes, and zeros behind them.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn flag(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

impl DerivationSketch {
    fn read(from: &mut Bytes<'_>) -> Self {
        let shape = from.next();
        let count = shape >> 6;
        Self {
            outputs: shape & 3,
            kind: (shape >> 2) & 3,
            fixed: from.next(),
            inputs: (0..count).map(|_| (from.next(), from.next())).collect(),
        }
    }
}

impl Want {
    fn read(from: &mut Bytes<'_>) -> Self {
        let flags = from.next();
        Self {
            again: flags & 7 == 1,
            inputs: flags & 56 != 8,
            requires: flags >> 5,
            derivation: from.next(),
            priority: from.next(),
            name: from.next(),
        }
    }
}

impl Op {
    fn read(from: &mut Bytes<'_>) -> Self {
        let kind = from.next();
        if kind % 32 != 30 {
            return Self::read_whole(kind, from);
        }
        let (commits, kind) = (from.next(), from.next());
        let op = Box::new(Self::read_whole(kind, from));
        Self::Cut { op, commits }
    }

    fn read_whole(kind: u8, from: &mut Bytes<'_>) -> Self {
        let agent = |from: &mut Bytes<'_>| from.next();
        match kind % 32 {
            0..6 => {
                let count = 1 + from.next() % 4;
                let builds = (0..count).map(|_| Want::read(from)).collect();
                Self::Submit { builds }
            }
            6 => Self::Cancel { build: from.next() },
            7 => Self::Upload {
                output: from.next(),
            },
            8 => Self::Upstream {
                output: from.next(),
            },
            9 => {
                let (output, returns) = (from.next(), from.flag());
                Self::Gone { output, returns }
            }
            10 => {
                let (output, two) = (from.next(), from.flag());
                Self::Prune { output, two }
            }
            11 | 12 => Self::Agent { agent: agent(from) },
            13 => {
                let (agent, paused) = (agent(from), from.flag());
                Self::Pause { agent, paused }
            }
            14 => {
                let (agent, offers) = (agent(from), from.next());
                Self::Tags { agent, offers }
            }
            15 if kind & 64 == 0 => Self::Delete { agent: agent(from) },
            16..22 => Self::Exchange {
                agent: agent(from),
                says: from.next(),
                offers: from.next(),
                waits: from.flag(),
            },
            22..27 => {
                let (attempt, outcome) = (from.next(), from.next());
                Self::Report {
                    attempt,
                    outcome: match outcome % 8 {
                        0 => Outcome::Failure,
                        1 => Outcome::DiskFull,
                        2 => Outcome::MissingInput,
                        3 => Outcome::WrongOutputs,
                        _ => Outcome::Success,
                    },
                    by_another: outcome >= 250,
                }
            }
            27 | 28 => Self::Pass {
                seconds: from.next(),
            },
            29 if kind & 64 == 0 => Self::Restart,
            29 => {
                let (first, derivation) = (Want::read(from), from.next());
                Self::Collide { first, derivation }
            }
            _ => Self::Follow,
        }
    }
}
