//! `kill -9` at each fail point.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_fail_points::{Point, Victim};

use crate::audit;
use crate::births::{self, BIRTHS};
use crate::farm::{Farm, PATIENCE};
use crate::random::Random;
use crate::round::Round;
use crate::work::Build;

/// After how many rounds a point that is not reached so often is given up.
const ROUNDS: usize = 3;
/// At which time at most a process dies at a point.
const TIMES: u64 = 6;
/// After how many cycles everything is audited, and not only what the cycle did.
const AUDIT: usize = 50;

/// Points that a process passes only as it starts.
const STARTS: [Point; 6] = [
    Point::TermClaimed,
    Point::StateLoaded,
    Point::UploadDiscarding,
    Point::UploadDiscarded,
    Point::SessionWritten,
    Point::SessionRenamed,
];

/// A hook's cursor is brought to the disk alone once nothing happens any more.
const RESTS: [Point; 1] = [Point::HookDelivered];

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
pub(crate) fn run(programs: &Path, cycles: usize, random: &mut Random) -> anyhow::Result<()> {
    let begun = Instant::now();
    let directory = tempfile::tempdir()?;
    let births = births::run(programs, random)?;
    println!(
        "killed {births} times while a coordinator was born: {:?}",
        begun.elapsed()
    );
    let mut farm = Farm::new(
        programs,
        directory.path(),
        &directory.path().join("coordinator"),
    )?;
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
        .filter(|point| !BIRTHS.contains(point))
        .collect();
    let mut cycle = 0;
    // The first time at each point the first time there; then at some other.
    let mut first = true;
    while first || cycle + births < cycles {
        for &point in &points {
            if !first && cycle + births >= cycles {
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
                println!("killed {} times: {:?}", cycle + births, begun.elapsed());
            }
        }
        first = false;
    }
    kills.audit()?;
    audit::no_leftovers(&kills.farm)?;
    kills.farm.stop()?;
    kills.farm.check_database()?;
    report(&kills, cycle, births, begun.elapsed());
    Ok(())
}

fn report(kills: &Kills<'_>, cycles: usize, births: usize, took: Duration) {
    let slowest = kills.farm.recoveries.iter().max();
    println!(
        "{} kills at {} points, {} of the coordinator; {} builds acknowledged, all there; no database \
         damaged; slowest recovery {:?}; {took:?}",
        cycles + births,
        kills.died.len() + BIRTHS.len(),
        kills
            .died
            .iter()
            .filter(|(point, _)| point.victim() == Victim::Coordinator)
            .map(|(_, times)| times)
            .sum::<usize>()
            + births,
        kills.builds.len(),
        slowest.copied().unwrap_or_default(),
    );
}

impl Kills<'_> {
    /// Has users at work while a process dies at a point, and looks at what they have then. Whether it died.
    fn cycle(&mut self, point: Point, times: u32) -> anyhow::Result<bool> {
        if STARTS.contains(&point) {
            self.start_again(point)?;
            *self.died.entry(point).or_default() += 1;
            self.round(None)?;
            return Ok(true);
        }
        self.farm.victim(point.victim()).arm(point.name(), times)?;
        if RESTS.contains(&point) {
            // Once a rest.
            self.farm.victim(point.victim()).arm(point.name(), 1)?;
            if !self.round(Some(point.victim()))? {
                self.revive(point.victim())?;
            }
            *self.died.entry(point).or_default() += 1;
            return Ok(true);
        }
        for _ in 0..ROUNDS {
            if self.round(Some(point.victim()))? {
                *self.died.entry(point).or_default() += 1;
                return Ok(true);
            }
        }
        // It may have come there meanwhile.
        if self.farm.victim(point.victim()).disarm() {
            return Ok(false);
        }
        self.revive(point.victim())?;
        *self.died.entry(point).or_default() += 1;
        Ok(true)
    }

    /// Kills a process, and has the next one die as it starts.
    fn start_again(&mut self, point: Point) -> anyhow::Result<()> {
        let victim = point.victim();
        self.farm.victim(victim).kill()?;
        if matches!(point, Point::UploadDiscarding | Point::UploadDiscarded) {
            // What a coordinator that was killed before has left of a source.
            let upload = "artifacts/uploads/source-cut-off";
            std::fs::write(self.farm.state.join(upload), "some of it")?;
        }
        self.farm.victim(victim).arm(point.name(), 1)?;
        self.farm.victim(victim).start()?;
        self.revive(victim)
    }

    /// Waits until it is dead, and starts another.
    fn revive(&mut self, victim: Victim) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.farm.victim(victim).has_died()? {
            ensure!(begun.elapsed() < PATIENCE, "nobody dies");
            std::thread::sleep(Duration::from_millis(2));
        }
        match victim {
            Victim::Coordinator => self.farm.start_coordinator(),
            Victim::Agent => self.farm.agent.start(),
        }
    }

    /// One round; whether the victim died and was replaced meanwhile.
    fn round(&mut self, victim: Option<Victim>) -> anyhow::Result<bool> {
        self.rounds += 1;
        let round = Round::new(self.farm.client(), self.rounds, self.random)?;
        let key = audit::public_key(&self.farm);
        let working = std::thread::spawn(move || round.run(&key));
        let mut died = false;
        while !working.is_finished() {
            for one in [Victim::Coordinator, Victim::Agent] {
                if self.farm.victim(one).has_died()? {
                    ensure!(Some(one) == victim && !died, "{one:?} died by itself");
                    self.revive(one)?;
                    died = true;
                }
            }
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
        Ok(died)
    }

    fn audit(&mut self) -> anyhow::Result<()> {
        audit::farm(&self.farm, &self.builds)
    }
}
