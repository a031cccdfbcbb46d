//! Power cuts, and disks that are full, fail or are slow: the coordinator's directory on a disk of our own.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::audit;
use crate::farm::{Farm, Setup};
use crate::power::{Faults, PowerDisk};
use crate::random::Random;
use crate::round::Round;
use crate::work::Build;

/// In how many writes and syncs the power goes, at most: a round has some hundred.
const STEPS: u64 = 300;
/// After how many cuts everything is audited.
const AUDIT: usize = 20;
/// How long a disk is bad.
const BAD: Duration = Duration::from_secs(3);

type Working = JoinHandle<anyhow::Result<Vec<(Build, Vec<u8>)>>>;

/// A farm whose coordinator lies on such a disk.
struct Cuts<'a> {
    farm: Farm,
    disk: PowerDisk,
    random: &'a mut Random,
    builds: Vec<(Build, Vec<u8>)>,
    rounds: usize,
}

/// None, and says why, where no file system can be mounted.
fn begin<'a>(
    programs: &Path,
    directory: &Path,
    random: &'a mut Random,
) -> anyhow::Result<Option<Cuts<'a>>> {
    let place = directory.join("disk");
    std::fs::create_dir(&place)?;
    let disk = match PowerDisk::mount(&place, Random::new(random.below(u64::MAX))) {
        Ok(disk) => disk,
        Err(error) => {
            println!("skipped: no file system can be mounted here: {error}");
            return Ok(None);
        }
    };
    let setup = Setup {
        state: place.join("coordinator"),
        ..Setup::new(directory)
    };
    let mut farm = Farm::new(programs, directory, &setup)?;
    farm.start()?;
    Ok(Some(Cuts {
        farm,
        disk,
        random,
        builds: Vec::new(),
        rounds: 0,
    }))
}

/// Cuts the power so often.
pub(crate) fn run(programs: &Path, cycles: usize, random: &mut Random) -> anyhow::Result<()> {
    let begun = Instant::now();
    let directory = tempfile::tempdir()?;
    let Some(mut cuts) = begin(programs, directory.path(), random)? else {
        return Ok(());
    };
    for cycle in 1..=cycles {
        cuts.cycle().with_context(|| format!("power cut {cycle}"))?;
        if cycle.is_multiple_of(AUDIT) {
            audit::farm(&cuts.farm, &cuts.builds)?;
            println!("cut {cycle} times: {:?}", begun.elapsed());
        }
    }
    cuts.end()?;
    println!(
        "{cycles} power cuts; {} builds acknowledged, all there; no database damaged; slowest recovery {:?}; {:?}",
        cuts.builds.len(),
        cuts.farm.slowest_recovery(),
        begun.elapsed()
    );
    Ok(())
}

/// A full disk, one that fails and a slow one, each so often; afterwards the power is cut.
pub(crate) fn bad_disks(programs: &Path, cycles: usize, random: &mut Random) -> anyhow::Result<()> {
    let begun = Instant::now();
    let directory = tempfile::tempdir()?;
    let Some(mut cuts) = begin(programs, directory.path(), random)? else {
        return Ok(());
    };
    for cycle in 1..=cycles {
        for what in ["full", "failing", "slow"] {
            cuts.bad(what)
                .with_context(|| format!("a {what} disk, the {cycle}. time"))?;
        }
        cuts.cut_now()?;
        audit::farm(&cuts.farm, &cuts.builds)?;
    }
    cuts.end()?;
    println!(
        "{cycles} times each a full, a failing and a slow disk, and a power cut; {} builds acknowledged, all there; {:?}",
        cuts.builds.len(),
        begun.elapsed()
    );
    Ok(())
}

impl Cuts<'_> {
    fn work(&mut self) -> anyhow::Result<Working> {
        self.rounds += 1;
        let round = Round::new(self.farm.client(), self.rounds, self.random)?;
        let key = self.farm.directory.join("guix.pub");
        // The key is what people trust: it must stay the same.
        if !key.exists() {
            std::fs::copy(audit::public_key(&self.farm), &key)?;
        }
        Ok(std::thread::spawn(move || round.run(&key)))
    }

    fn done(&mut self, working: Working) -> anyhow::Result<()> {
        match working.join() {
            Ok(Ok(builds)) => self.builds.extend(builds),
            Ok(Err(error)) => {
                self.farm.tell_logs();
                return Err(error);
            }
            Err(_) => bail!("a client panicked"),
        }
        Ok(())
    }

    /// The power goes while users are at work.
    fn cycle(&mut self) -> anyhow::Result<()> {
        let left = self.random.below(STEPS);
        self.disk.disk().left = Some(left);
        let working = self.work()?;
        while !working.is_finished() && !self.disk.disk().dead {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.cut_now()?;
        self.done(working)
    }

    fn cut_now(&mut self) -> anyhow::Result<()> {
        self.disk.disk().dead = true;
        self.farm.coordinator.strike()?;
        self.farm.coordinator.wait()?;
        self.disk.cut()?;
        self.farm.start_coordinator()
    }

    /// Users are at work while the disk is bad; once it is good again, all that they want is done.
    fn bad(&mut self, what: &str) -> anyhow::Result<()> {
        {
            let mut disk = self.disk.disk();
            let room = disk.used() + self.random.below(600_000);
            match what {
                "full" => disk.room = room,
                "slow" => disk.faults.pause = Duration::from_millis(30),
                _ => {
                    disk.faults = Faults {
                        writes: 5,
                        syncs: 10,
                        ..Faults::default()
                    }
                }
            }
        }
        let begun = Instant::now();
        self.farm.bad_disk = true;
        let working = self.work()?;
        while begun.elapsed() < BAD && !working.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
            ensure!(
                !self.farm.coordinator.has_ended()?,
                "it gave up:\n{}",
                self.farm.coordinator.tail()
            );
        }
        let mut disk = self.disk.disk();
        (disk.room, disk.faults) = (u64::MAX, Faults::default());
        drop(disk);
        self.farm.bad_disk = false;
        self.done(working)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        audit::farm(&self.farm, &self.builds)?;
        audit::no_leftovers(&self.farm)?;
        self.farm.stop()?;
        self.farm.check_database()
    }
}
