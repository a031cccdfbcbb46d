//! Power cuts, and disks that are full, fail or are slow: the coordinator's directory, or those of the agents, on a disk
//! of our own.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;

use crate::audit;
use crate::farm::{Farm, PATIENCE, Setup};
use crate::power::{Faults, PowerDisk};
use crate::process::Process;
use crate::random::Random;
use crate::round::Round;
use crate::summary::{Outcome, Skipped};
use crate::work::Build;

/// After how many cuts everything is audited.
const AUDIT: usize = 20;
/// How long a disk is bad, at least.
const BAD: Duration = Duration::from_secs(3);
/// What a program that cannot start says of its disk.
const REASONS: [&str; 4] = [
    "No space left on device",
    "Input/output error",
    "disk is full",
    "disk I/O error",
];

type Working = JoinHandle<anyhow::Result<Vec<(Build, Vec<u8>)>>>;

/// Whose directory lies on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whose {
    /// The coordinator's
    Coordinator,
    /// That of each agent, but for its store, which tells a power cut by the machine's start
    Agents,
}

impl Whose {
    /// In how many writes and syncs the power goes, at most: about as many as there are in a round.
    const fn steps(self) -> u64 {
        match self {
            Self::Coordinator => 300,
            Self::Agents => 120,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "the coordinator's",
            Self::Agents => "the agents'",
        }
    }
}

/// A farm of which something lies on such a disk.
struct Cuts<'a> {
    farm: Farm,
    disk: PowerDisk,
    whose: Whose,
    random: &'a mut Random,
    builds: Vec<(Build, Vec<u8>)>,
    rounds: usize,
}

impl Drop for Cuts<'_> {
    fn drop(&mut self) {
        // Else who is ended now would wait for it.
        self.disk.desert();
    }
}

/// Cuts the power so often.
pub(crate) fn run(
    programs: &Path,
    directory: &Path,
    whose: Whose,
    cycles: usize,
    random: &mut Random,
) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    on_a_disk(programs, directory, whose, random, |cuts| {
        for cycle in 1..=cycles {
            cuts.cycle().with_context(|| format!("power cut {cycle}"))?;
            if cycle.is_multiple_of(AUDIT) {
                audit::farm(&cuts.farm, &cuts.builds)?;
                println!("cut {cycle} times: {:?}", begun.elapsed());
            }
        }
        cuts.end()?;
        Ok(format!(
            "{cycles} power cuts of {} disk; {} builds acknowledged, all there; no database damaged; slowest recovery {:?}; {:?}",
            whose.name(),
            cuts.builds.len(),
            cuts.farm.slowest_recovery(),
            begun.elapsed()
        ))
    })
}

/// A full disk, one that fails and a slow one, each so often; afterwards the power is cut.
pub(crate) fn bad_disks(
    programs: &Path,
    directory: &Path,
    whose: Whose,
    cycles: usize,
    random: &mut Random,
) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    on_a_disk(programs, directory, whose, random, |cuts| {
        for cycle in 1..=cycles {
            for what in [Bad::Full, Bad::Failing, Bad::Slow] {
                let context = || format!("a disk that is {what:?}, the {cycle}. time");
                cuts.bad(what).with_context(context)?;
            }
            for what in [Bad::Full, Bad::Failing] {
                let context = || format!("a start on a disk that is {what:?}, the {cycle}. time");
                cuts.start_while(what).with_context(context)?;
            }
            cuts.cut_now()?;
            audit::farm(&cuts.farm, &cuts.builds)?;
        }
        cuts.end()?;
        Ok(format!(
            "{cycles} times each {} disk full, failing and slow, started on while it was full and failing, and a power cut; {} builds acknowledged, all there; slowest recovery {:?}; {:?}",
            whose.name(),
            cuts.builds.len(),
            cuts.farm.slowest_recovery(),
            begun.elapsed()
        ))
    })
}

/// Does this with a farm, and writes what is known of its disk into the directory if that fails.
fn on_a_disk(
    programs: &Path,
    directory: &Path,
    whose: Whose,
    random: &mut Random,
    work: impl FnOnce(&mut Cuts<'_>) -> anyhow::Result<String>,
) -> anyhow::Result<Outcome> {
    let place = directory.join("disk");
    std::fs::create_dir(&place)?;
    let disk = match PowerDisk::mount(&place, Random::new(random.below(u64::MAX))) {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::Skipped(Skipped::no_file_system(&error))),
    };
    let all = Setup::new(directory);
    let setup = match whose {
        Whose::Coordinator => Setup {
            state: place.join("coordinator"),
            ..all
        },
        Whose::Agents => Setup {
            agents: place,
            ..all
        },
    };
    let mut farm = Farm::new(programs, directory, &setup)?;
    farm.may_lose = whose == Whose::Agents;
    let mut cuts = Cuts {
        farm,
        disk,
        whose,
        random,
        builds: Vec::new(),
        rounds: 0,
    };
    let done = cuts.farm.start().and_then(|()| work(&mut cuts));
    match done {
        Ok(found) => Ok(Outcome::Found(found)),
        Err(error) => {
            cuts.farm.tell_logs();
            let told = cuts.disk.tell(directory);
            Err(match told {
                Ok(()) => error,
                Err(told) => error.context(format!("what was on the disk cannot be kept: {told}")),
            })
        }
    }
}

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug)]
enum Bad {
    Full,
    Failing,
    Slow,
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
            Ok(Err(error)) => return Err(error),
            Err(_) => bail!("a client panicked"),
        }
        Ok(())
    }

    /// Who uses the disk.
    fn users(&mut self) -> Vec<&mut Process> {
        let agents = self.farm.agents.iter_mut().map(|agent| &mut agent.process);
        match self.whose {
            Whose::Coordinator => vec![&mut self.farm.coordinator],
            Whose::Agents => agents.collect(),
        }
    }

    /// The power goes while users are at work.
    fn cycle(&mut self) -> anyhow::Result<()> {
        let left = self.random.below(self.whose.steps());
        self.disk.disk().left = Some(left);
        let working = self.work()?;
        while !working.is_finished() && !self.disk.disk().dead {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.cut_now()?;
        self.done(working)
    }

    fn cut_now(&mut self) -> anyhow::Result<()> {
        self.disk.power_off();
        self.kill()?;
        self.disk.cut()?;
        self.start()
    }

    /// Kills who uses the disk, whatever it waits for there.
    fn kill(&mut self) -> anyhow::Result<()> {
        self.users().into_iter().try_for_each(Process::strike)?;
        self.disk.desert();
        for process in self.users() {
            process.wait()?;
        }
        self.disk.disk().deserted = false;
        Ok(())
    }

    fn start(&mut self) -> anyhow::Result<()> {
        match self.whose {
            Whose::Coordinator => self.farm.start_coordinator(),
            Whose::Agents => self.users().into_iter().try_for_each(Process::start),
        }
    }

    /// From now on the disk is bad; as bad as can be if nothing shall go well.
    fn spoil(&mut self, what: Bad, wholly: bool) {
        let mut disk = self.disk.disk();
        match what {
            Bad::Full if wholly => disk.room = disk.used(),
            Bad::Full => disk.room = disk.used() + self.random.below(600_000),
            Bad::Slow => disk.faults.pause = Duration::from_millis(30),
            Bad::Failing => {
                disk.faults = Faults {
                    writes: if wholly { 100 } else { 5 },
                    syncs: if wholly { 100 } else { 10 },
                    ..Faults::default()
                }
            }
        }
    }

    fn mend(&mut self) {
        let mut disk = self.disk.disk();
        (disk.room, disk.faults) = (u64::MAX, Faults::default());
    }

    /// Users are at work while the disk is bad; once it is good again, all that they want is done.
    fn bad(&mut self, what: Bad) -> anyhow::Result<()> {
        self.spoil(what, false);
        let begun = Instant::now();
        self.farm.bad_disk = self.whose == Whose::Coordinator;
        let working = self.work()?;
        while begun.elapsed() < BAD && !working.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
            for process in self.users() {
                ensure!(!process.has_ended()?, "it gave up:\n{}", process.tail());
            }
        }
        self.mend();
        self.farm.bad_disk = false;
        self.done(working)
    }

    /// Who is started while the disk is bad ends and says why, or goes on; who has ended starts once the disk is good
    /// again, and then all that users want is done.
    fn start_while(&mut self, what: Bad) -> anyhow::Result<()> {
        self.kill()?;
        self.spoil(what, true);
        self.users().into_iter().try_for_each(Process::start)?;
        let begun = Instant::now();
        loop {
            let gave_up = self.have_given_up(what)?;
            // Where there is no room, there may be nothing to write.
            let told = matches!(what, Bad::Full)
                || (self.users().iter()).all(|process| reason(&process.said_last()));
            if !gave_up.contains(&false) || told && begun.elapsed() >= BAD {
                break;
            }
            for process in self.users() {
                ensure!(
                    begun.elapsed() < PATIENCE,
                    "it does not say that the disk is {what:?}:\n{}",
                    process.said_last()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.mend();
        let working = self.work()?;
        // Who has met the bad disk may end of it even now.
        let mut anew = vec![false; self.users().len()];
        loop {
            let over = working.is_finished();
            for (number, gave_up) in self.have_given_up(what)?.into_iter().enumerate() {
                if gave_up {
                    ensure!(!anew[number], "it gave up on a disk that is good");
                    anew[number] = true;
                    self.start_one(number)?;
                }
            }
            if over {
                return self.done(working);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Who of those that were started on a bad disk has ended, which must be with a reason and no success.
    fn have_given_up(&mut self, what: Bad) -> anyhow::Result<Vec<bool>> {
        let gave_up = |process: &mut Process| {
            if !process.has_ended()? {
                return Ok(false);
            }
            let says = process.said_last();
            ensure!(
                reason(&says),
                "it does not say that the disk is {what:?}:\n{says}"
            );
            // None if it was seen before.
            if let Some(status) = process.wait()? {
                let fails = status.code().is_some_and(|code| code != 0);
                ensure!(fails, "it ended with {status}:\n{says}");
            }
            Ok(true)
        };
        self.users().into_iter().map(gave_up).collect()
    }

    fn start_one(&mut self, number: usize) -> anyhow::Result<()> {
        match self.whose {
            Whose::Coordinator => self.farm.start_coordinator(),
            Whose::Agents => self.farm.agents[number].process.start(),
        }
    }

    fn end(&mut self) -> anyhow::Result<()> {
        audit::farm(&self.farm, &self.builds)?;
        audit::no_leftovers(&self.farm)?;
        self.farm.stop()?;
        self.farm.check_database()
    }
}

/// Whether this says what is wrong with a disk.
fn reason(says: &str) -> bool {
    REASONS.iter().any(|reason| says.contains(reason))
}
