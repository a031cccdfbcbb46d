//! How long it takes at least until all has ended that needs a derivation: the critical path, as predicted.
//!
//! What remains of a derivation is what it is expected to take itself, and the most that remains of any that needs it. It is
//! kept only if an order of the policy goes by it.
//!
//! A new derivation on top of a graph may change what remains of everything below, and most often changes nothing. So changes
//! are gathered for a moment. Then everything below them is marked, and what is marked is reckoned anew once each, those that
//! need it first; all of it in slices. What changes meanwhile waits for the next reckoning, and is gathered ten times as long
//! as the one before took.

use std::time::Duration;

use crate::io::TimerReason;
use crate::machine::Core;
use crate::slab::Ix;
use crate::tables::Derivation;
use crate::work::Work;

/// How long changes are gathered at least.
const GATHER: Duration = Duration::from_millis(50);
/// Ten times what an edge takes, at a million rows: so long changes are gathered for each edge that the time before took.
const GATHER_PER_EDGE: Duration = Duration::from_nanos(400);
/// No longer, however.
const GATHER_MOST: Duration = Duration::from_mins(1);
/// How often what is expected of all derivations is looked up again, while builds teach what others take.
const REFRESH: Duration = Duration::from_mins(10);

/// What it counts for in a slice of work to look up what is expected.
const EXPECT_EDGES: usize = 8;

/// How sure it is what remains of a derivation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing has changed since it was reckoned.
    #[default]
    Settled,
    /// Something may have.
    Suspect,
    /// It is being reckoned.
    Entered,
    /// Something may have, since the reckoning began: until the next one it counts as settled.
    Later,
}

/// What is to be reckoned anew.
#[derive(Debug, Default)]
pub(crate) struct Remaining {
    /// An order goes by it.
    wanted: bool,
    /// What has changed since the reckoning began.
    later: Vec<(Ix<Derivation>, u32)>,
    /// Changes are gathered no more.
    reckoning: bool,
    /// Marked derivations, with their generations.
    suspects: Vec<(Ix<Derivation>, u32)>,
    /// So many of them have handed the mark on to what they need.
    spread: usize,
    /// Those that are being reckoned, each below the one that needs to know.
    frames: Vec<Frame>,
    /// A timer, or work that was put off, will go on.
    planned: bool,
    /// What was learned will be looked at.
    refreshing: bool,
    /// How many edges were looked at since changes were gathered.
    edges: u64,
}

/// A derivation that is being reckoned.
#[derive(Debug)]
struct Frame {
    derivation: Ix<Derivation>,
    generation: u32,
    /// Which of its outputs is looked at.
    output: usize,
    /// How many of that output's users are left: from the last on, since some may be forgotten meanwhile, and the others move
    /// to the front then.
    users: Option<usize>,
    /// Milliseconds: the most that remains of those that were looked at.
    longest: u32,
}

impl Remaining {
    pub(crate) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Whether all of it is reckoned.
    pub(crate) fn is_settled(&self) -> bool {
        self.suspects.is_empty() && self.frames.is_empty() && self.later.is_empty()
    }

    /// What was gathered takes so long that so much more is to be gathered next time.
    fn pause(&self) -> Duration {
        let edges = u32::try_from(self.edges).unwrap_or(u32::MAX);
        (GATHER_PER_EDGE * edges).clamp(GATHER, GATHER_MOST)
    }
}

impl Core {
    /// What remains of a derivation may be something else from now on.
    pub(crate) fn suspect(&mut self, ix: Ix<Derivation>) {
        if !self.remaining.wanted {
            return;
        }
        let standing = &mut self.derivations[ix].standing;
        if self.remaining.reckoning {
            // One that is marked has still to be looked at.
            if matches!(standing, Standing::Settled | Standing::Entered) {
                *standing = Standing::Later;
                let generation = self.derivations.generation(ix);
                self.remaining.later.push((ix, generation));
            }
            return;
        }
        self.mark(ix);
        self.plan();
    }

    fn mark(&mut self, ix: Ix<Derivation>) {
        let standing = &mut self.derivations[ix].standing;
        if *standing != Standing::Suspect {
            *standing = Standing::Suspect;
            let generation = self.derivations.generation(ix);
            self.remaining.suspects.push((ix, generation));
        }
    }

    fn plan(&mut self) {
        if !self.remaining.planned {
            self.remaining.planned = true;
            let at = self.now.after(self.remaining.pause());
            self.remaining.edges = 0;
            self.timers.insert((at, TimerReason::Remaining, 0));
        }
    }

    /// The same for those that may bring an output.
    pub(crate) fn suspect_producers(&mut self, output: Ix<crate::tables::Output>) {
        if self.remaining.wanted {
            for producer in self.outputs[output].producers.clone() {
                self.suspect(producer);
            }
        }
    }

    /// Other durations are expected than before.
    pub(crate) fn expectations_changed(&mut self) {
        if !self.remaining.refreshing {
            self.remaining.refreshing = true;
            let at = self.now.after(REFRESH);
            self.timers.insert((at, TimerReason::Remaining, 1));
        }
    }

    /// A timer has run out.
    pub(crate) fn remaining_due(&mut self, what: u32) {
        self.work.push_back(if what == 0 {
            Work::Remaining
        } else {
            Work::Refresh { from: 0 }
        });
    }

    /// Looks up again what is expected of some derivations; returns where to go on.
    pub(crate) fn expect_again(&mut self, from: u32, slice: usize) -> Option<u32> {
        if from == 0 {
            // What is learned from now on may come too late for some.
            self.remaining.refreshing = false;
        }
        let rows = u32::try_from(self.derivations.rows()).unwrap_or(u32::MAX);
        for row in from..rows {
            if self.edges >= slice {
                return Some(row);
            }
            self.edges += EXPECT_EDGES;
            let ix = Ix::new(row);
            let Some(derivation) = self.derivations.get(ix) else {
                continue;
            };
            let expected = self.expected(derivation);
            if expected != derivation.expected_ms {
                self.move_in_line(ix, |row| row.expected_ms = expected);
                self.suspect(ix);
            }
        }
        None
    }

    /// Looks up what is expected of all derivations, before any of them has heard of others.
    pub(crate) fn expect_all(&mut self) {
        let all: Vec<_> = self.derivations.iter().map(|(ix, _)| ix).collect();
        for ix in all {
            let expected = self.expected(&self.derivations[ix]);
            let row = &mut self.derivations[ix];
            (row.expected_ms, row.remaining_ms) = (expected, expected);
        }
    }

    /// Milliseconds that a derivation is expected to take.
    pub(crate) fn expected(&self, derivation: &Derivation) -> u32 {
        self.expected_ms(&derivation.item.name, &derivation.kind.system)
    }

    /// Reckons some of what is marked; whether there is more.
    pub(crate) fn reckon(&mut self, slice: usize) -> bool {
        self.remaining.reckoning = true;
        let before = self.edges;
        let more = self.reckon_some(slice);
        self.remaining.edges += (self.edges - before) as u64;
        if !more {
            self.remaining.planned = false;
            self.remaining.reckoning = false;
            let later = std::mem::take(&mut self.remaining.later);
            for (ix, generation) in later {
                if self.derivations.is_current(ix, generation) {
                    self.mark(ix);
                    self.plan();
                }
            }
        }
        more
    }

    fn reckon_some(&mut self, slice: usize) -> bool {
        while self.edges < slice {
            self.edges += 1;
            if let Some(&(ix, generation)) = self.remaining.suspects.get(self.remaining.spread) {
                self.remaining.spread += 1;
                if self.derivations.is_current(ix, generation) {
                    self.spread(ix);
                }
            } else if let Some(frame) = self.remaining.frames.pop() {
                self.look_up(frame, slice);
            } else if let Some((ix, generation)) = self.remaining.suspects.pop() {
                self.remaining.spread = self.remaining.suspects.len();
                self.enter(ix, generation);
            } else {
                self.remaining.spread = 0;
                return false;
            }
        }
        true
    }

    /// Marks those whose remaining time follows from this one's.
    fn spread(&mut self, ix: Ix<Derivation>) {
        for at in 0..self.derivations[ix].inputs.len() {
            let input = self.derivations[ix].inputs[at];
            if !self.outputs.hot(input).available {
                for producer in self.outputs[input].producers.clone() {
                    if self.derivations[producer].standing != Standing::Later {
                        self.mark(producer);
                    }
                }
            }
        }
        self.edges += self.derivations[ix].inputs.len();
    }

    fn enter(&mut self, derivation: Ix<Derivation>, generation: u32) {
        if !self.derivations.is_current(derivation, generation) {
            return;
        }
        let row = &mut self.derivations[derivation];
        if row.standing == Standing::Suspect {
            row.standing = Standing::Entered;
            self.remaining.frames.push(Frame {
                derivation,
                generation,
                output: 0,
                users: None,
                longest: 0,
            });
        }
    }

    /// Looks at those that need a derivation. If one of them is to be reckoned first, then it is, and this is left for later.
    fn look_up(&mut self, mut frame: Frame, slice: usize) {
        if !self
            .derivations
            .is_current(frame.derivation, frame.generation)
        {
            return;
        }
        let row = &self.derivations[frame.derivation];
        while let Some(&output) = row.outputs.get(frame.output) {
            let node = &self.outputs[output];
            let counts =
                !node.presence.is_available() && node.producers.contains(&frame.derivation);
            let all = if counts { node.users.len() } else { 0 };
            for at in (0..frame.users.map_or(all, |left| left.min(all))).rev() {
                let (user, generation) = node.users.at(at);
                self.edges += 1;
                if self.derivations.is_current(user, generation) {
                    let other = &self.derivations[user];
                    match other.standing {
                        Standing::Suspect => {
                            frame.users = Some(at + 1);
                            self.remaining.frames.push(frame);
                            self.enter(user, generation);
                            return;
                        }
                        Standing::Settled | Standing::Later => {
                            frame.longest = frame.longest.max(other.remaining_ms)
                        }
                        // It waits for itself, which will be found out.
                        Standing::Entered => {}
                    }
                }
                if self.edges >= slice {
                    frame.users = Some(at);
                    self.remaining.frames.push(frame);
                    return;
                }
            }
            frame.output += 1;
            frame.users = None;
        }
        self.leave(&frame);
    }

    fn leave(&mut self, frame: &Frame) {
        self.edges += EXPECT_EDGES;
        let expected = self.expected(&self.derivations[frame.derivation]);
        if expected != self.derivations[frame.derivation].expected_ms {
            self.move_in_line(frame.derivation, |row| row.expected_ms = expected);
        }
        let row = &mut self.derivations[frame.derivation];
        let remaining = expected.saturating_add(frame.longest);
        let before = std::mem::replace(&mut row.remaining_ms, remaining);
        // If something has changed meanwhile, it is marked again.
        if row.standing == Standing::Entered {
            row.standing = Standing::Settled;
        }
        if before != remaining {
            for task in self.derivations[frame.derivation].tasks.clone() {
                self.requeue(task);
            }
        }
    }

    /// What remains of a derivation, from nothing but what remains of those that need it.
    pub(crate) fn remaining_of(&self, ix: Ix<Derivation>) -> u32 {
        let lacking = self.brings(ix).filter(|node| !node.presence.is_available());
        let users = lacking.flat_map(|node| node.users.current(&self.derivations));
        let longest = users.map(|user| self.derivations[user].remaining_ms);
        let expected = self.derivations[ix].expected_ms;
        expected.saturating_add(longest.max().unwrap_or(0))
    }
}
