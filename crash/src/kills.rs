//! `kill -9` at each fail point.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_fail_points::{Point, Victim};

use crate::audit;
use crate::births::{self, BIRTHS};
use crate::exports::{self, EXPORTS};
use crate::farm::{Farm, PATIENCE, Setup};
use crate::random::Random;
use crate::rotations::{self, ROTATIONS};
use crate::round::Round;
use crate::work::Build;

/// After how many rounds a point that is not reached so often is given up.
const ROUNDS: usize = 3;
/// At which time at most a process dies at a point.
const TIMES: u64 = 6;
/// After how many cycles everything is audited, and not only what the cycle did.
const AUDIT: usize = 50;

/// Points that a process passes only as it starts; an agent, where it does not know its store to be on the disk.
const STARTS: [Point; 10] = [
    Point::TermClaimed,
    Point::StateLoaded,
    Point::UploadDiscarding,
    Point::UploadDiscarded,
    Point::SessionWritten,
    Point::SessionRenamed,
    Point::StoreSynced,
    Point::SettledWritten,
    Point::SettledSynced,
    Point::SettledRenamed,
];

/// A hook's cursor is brought to the disk alone once nothing happens any more.
const RESTS: [Point; 1] = [Point::HookDelivered];

/// An agent passes them whose result has to wait: its coordinator has died.
const WAITS: [Point; 3] = [
    Point::WaitingFilesSynced,
    Point::WaitingResultSynced,
    Point::WaitingNamesSynced,
];

/// A farm that lives through it all.
struct Kills<'a> {
    farm: Farm,
    random: &'a mut Random,
    /// All that was acknowledged.
    builds: Vec<(Build, Vec<u8>)>,
    rounds: usize,
    /// How often a process died at each.
    died: BTreeMap<Point, usize>,
}

/// Kills at least so often, at each point at least once.
pub(crate) fn run(
    programs: &Path,
    directory: &Path,
    cycles: usize,
    random: &mut Random,
) -> anyhow::Result<String> {
    let begun = Instant::now();
    let elsewhere = [BIRTHS.as_slice(), &ROTATIONS, &EXPORTS].concat();
    let mut others = births::run(programs, directory, random)?;
    others += rotations::run(programs, directory)?;
    others += exports::run(programs, directory)?;
    println!(
        "killed {others} times while coordinators were born, keys rotated and items signed for a daemon: {:?}",
        begun.elapsed()
    );
    let mut farm = Farm::new(programs, directory, &Setup::new(directory))?;
    farm.start()?;
    let mut kills = Kills {
        farm,
        random,
        builds: Vec::new(),
        rounds: 0,
        died: BTreeMap::new(),
    };
    let points: Vec<_> = Point::ALL
        .iter()
        .copied()
        .filter(|point| !elsewhere.contains(point))
        .collect();
    let mut cycle = 0;
    // The first time at each point the first time there; then at some other.
    let mut first = true;
    while first || cycle + others < cycles {
        for &point in &points {
            if !first && cycle + others >= cycles {
                break;
            }
            let times = if first {
                1
            } else {
                1 + kills.random.below(TIMES)
            };
            let fired = kills
                .cycle(point, u32::try_from(times)?)
                .with_context(|| format!("cycle {cycle}, at {} the time {times}", point.name()))?;
            ensure!(fired || !first, "nobody came to {}", point.name());
            cycle += usize::from(fired);
            if fired && cycle.is_multiple_of(AUDIT) {
                kills.audit()?;
                println!("killed {} times: {:?}", cycle + others, begun.elapsed());
            }
        }
        first = false;
    }
    kills.audit()?;
    audit::no_leftovers(&kills.farm)?;
    kills.farm.stop()?;
    kills.farm.check_database()?;
    Ok(report(
        &kills,
        cycle + others,
        elsewhere.len(),
        begun.elapsed(),
    ))
}

fn report(kills: &Kills<'_>, all: usize, elsewhere: usize, took: Duration) -> String {
    format!(
        "{all} kills at {} points; {} builds acknowledged, all there; no database damaged; slowest recovery {:?}; {took:?}",
        kills.died.len() + elsewhere,
        kills.builds.len(),
        kills.farm.slowest_recovery(),
    )
}

impl Kills<'_> {
    /// Has users at work while a process dies at a point, and looks at what they have then. Whether it died.
    fn cycle(&mut self, point: Point, times: u32) -> anyhow::Result<bool> {
        let victim = point.victim();
        let died = if STARTS.contains(&point) {
            self.start_again(point)?;
            self.round(&[])?;
            true
        } else if WAITS.contains(&point) {
            self.have_it_wait(point)?
        } else if RESTS.contains(&point) {
            // Once a rest.
            self.farm.arm(point, 1)?;
            if self.round(&[victim])?.is_empty() {
                self.await_death()?;
            }
            true
        } else {
            self.farm.arm(point, times)?;
            self.dies_in_a_round(&[victim])?
        };
        if died {
            *self.died.entry(point).or_default() += 1;
        }
        Ok(died)
    }

    /// Has users at work until somebody has died, or for some rounds. Whether the last one did.
    fn dies_in_a_round(&mut self, victims: &[Victim]) -> anyhow::Result<bool> {
        let last = *victims.last().context("somebody is to die")?;
        for _ in 0..ROUNDS {
            if self.round(victims)?.contains(&last) {
                return Ok(true);
            }
        }
        // It may have come there meanwhile.
        if self.farm.disarm(last) {
            return Ok(false);
        }
        self.await_death()?;
        Ok(true)
    }

    /// Kills a process, and has the next one die as it starts.
    fn start_again(&mut self, point: Point) -> anyhow::Result<()> {
        let victim = point.victim();
        self.farm.victim(victim).kill()?;
        match point {
            // What a coordinator that was killed before has left of a source.
            Point::UploadDiscarding | Point::UploadDiscarded => {
                let upload = "artifacts/uploads/source-cut-off";
                std::fs::write(self.farm.state.join(upload), "some of it")?;
            }
            // As after a power cut of an agent that never settled its store.
            Point::StoreSynced
            | Point::SettledWritten
            | Point::SettledSynced
            | Point::SettledRenamed => {
                std::fs::remove_file(self.farm.agents[0].store.join("settled"))?;
            }
            _ => {}
        }
        self.farm.victim(victim).arm(point.name(), 1)?;
        self.farm.victim(victim).start()?;
        self.await_death()
    }

    /// The coordinator dies when it has taken a report, and an agent while it waits for another coordinator.
    fn have_it_wait(&mut self, point: Point) -> anyhow::Result<bool> {
        // What is durable before it is sent need not be made so.
        self.restart_agents("1h")?;
        self.farm.arm(point, 1)?;
        let mut died = false;
        for _ in 0..ROUNDS {
            // It may die of a report that is left from before, and was durable then.
            self.farm.arm(Point::ReportTaken, 1)?;
            let mut dead = self.round(&[Victim::Coordinator, Victim::Agent])?;
            self.farm.disarm(Victim::Coordinator);
            dead.extend(self.farm.settle()?);
            died = dead.contains(&Victim::Agent);
            if died {
                break;
            }
        }
        if !died {
            // It may have come there meanwhile.
            self.farm.disarm(Victim::Agent);
            died = self.farm.settle()?.contains(&Victim::Agent);
        }
        self.restart_agents("150ms")?;
        Ok(died)
    }

    fn restart_agents(&mut self, durable_after: &str) -> anyhow::Result<()> {
        for agent in &mut self.farm.agents {
            agent.durable_after(durable_after)?;
            agent.process.kill()?;
            agent.process.start()?;
        }
        Ok(())
    }

    /// Waits until somebody is dead, and has started another.
    fn await_death(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.farm.revive()?.is_empty() {
            ensure!(begun.elapsed() < PATIENCE, "nobody dies");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// One round; who died meanwhile and was replaced.
    fn round(&mut self, victims: &[Victim]) -> anyhow::Result<Vec<Victim>> {
        self.rounds += 1;
        let round = Round::new(self.farm.client(), self.rounds, self.random)?;
        let key = audit::public_key(&self.farm);
        let working = std::thread::spawn(move || round.run(&key));
        let mut all = Vec::new();
        while !working.is_finished() {
            let died = self.farm.revive()?;
            ensure!(
                died.iter().all(|one| victims.contains(one)),
                "{died:?} died by themselves"
            );
            all.extend(died);
            std::thread::sleep(Duration::from_millis(1));
        }
        match working.join() {
            Ok(Ok(builds)) => self.builds.extend(builds),
            Ok(Err(error)) => {
                self.farm.tell_logs();
                return Err(error);
            }
            Err(_) => bail!("a client panicked"),
        }
        Ok(all)
    }

    fn audit(&mut self) -> anyhow::Result<()> {
        audit::farm(&self.farm, &self.builds)
    }
}
