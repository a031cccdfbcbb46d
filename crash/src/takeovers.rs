//! Agents whose leases run out: who takes over is killed, too, and two race for one build.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use grange_fail_points::{Point, Victim};

use crate::audit;
use crate::farm::{Farm, PATIENCE, Setup};
use crate::random::Random;
use crate::work::Build;

/// Short, so that it runs out soon.
const LEASE: &str = "2s";
/// Bytes of an output: it goes in several pieces.
const BYTES: usize = 600_000;
/// What a builder waits for between two lines, of which there are six.
const PAUSE: &str = "0.15";
/// How many builds may be through before their agent is stopped: on a machine that is busy, one in a while.
const MISSED: usize = 20;

/// Where the agent dies that was given a build, and where the one that takes over.
const OVERTAKEN: [(Point, Point); 5] = [
    (Point::SpoolMade, Point::LogAppended),
    (Point::BuildBegun, Point::OutputPieceSent),
    (Point::LogSent, Point::ResultRenamed),
    (Point::OutputPieceSent, Point::ReportSending),
    (Point::ReportSending, Point::ReportAnswered),
];

/// Where those die that race for a build, if they come there: the agent that was late, the other one, the coordinator.
const RACES: [(Point, Point, Point); 4] = [
    (
        Point::LogSending,
        Point::OutputSpooled,
        Point::PieceAppended,
    ),
    (
        Point::OutputPieceSent,
        Point::OutputPieceSent,
        Point::OutputsVerified,
    ),
    (
        Point::ReportSending,
        Point::ReportSending,
        Point::OutputsSealed,
    ),
    (
        Point::SpoolDeleting,
        Point::ReportAnswered,
        Point::ReportTaken,
    ),
];

struct Takeovers {
    farm: Farm,
    builds: Vec<Build>,
    /// How many of them were through too soon for a race.
    missed: usize,
    killed: usize,
}

/// Each of them, for so many kills in all at least.
pub(crate) fn run(
    programs: &Path,
    directory: &Path,
    kills: usize,
    random: &mut Random,
) -> anyhow::Result<String> {
    let begun = Instant::now();
    let setup = Setup {
        lease: LEASE,
        ..Setup::new(directory)
    };
    let mut farm = Farm::new(programs, directory, &setup)?;
    farm.may_lose = true;
    farm.start()?;
    let mut all = Takeovers {
        farm,
        builds: Vec::new(),
        missed: 0,
        killed: 0,
    };
    let mut first = true;
    while first || all.killed < kills {
        for (one, other) in OVERTAKEN {
            all.overtaken(one, other)
                .with_context(|| format!("at {}, then at {}", one.name(), other.name()))?;
        }
        for (late, other, coordinator) in RACES {
            let names = [late, other, coordinator].map(Point::name);
            all.race(late, other, coordinator, random)
                .with_context(|| format!("a race, at {}", names.join(", ")))?;
        }
        first = false;
    }
    let contested = all.builds.len() - all.missed;
    let client = all.farm.client();
    let mut builds = Vec::new();
    for build in all.builds {
        let log = build.log(&client)?;
        builds.push((build, log));
    }
    audit::farm(&all.farm, &builds)?;
    audit::no_leftovers(&all.farm)?;
    let expired = audit::count(&all.farm, "expired")?;
    ensure!(
        expired >= contested,
        "{expired} leases ran out for {contested} builds"
    );
    all.farm.stop()?;
    all.farm.check_database()?;
    Ok(format!(
        "{contested} builds were taken over or raced for, {expired} leases ran out, {} processes killed meanwhile; slowest recovery {:?}; {:?}",
        all.killed,
        all.farm.slowest_recovery(),
        begun.elapsed()
    ))
}

impl Takeovers {
    /// A build that is submitted.
    fn build(&mut self) -> anyhow::Result<Build> {
        let client = self.farm.client();
        let name = format!("contested-{}", self.builds.len());
        let build = Build::new(&client, name, BYTES, PAUSE, None, None, None)?;
        build.submit(&client)?;
        self.builds.push(build.clone());
        Ok(build)
    }

    /// Whoever is given a build dies and stays away; whoever takes over dies, too, and both come back.
    fn overtaken(&mut self, one: Point, other: Point) -> anyhow::Result<()> {
        self.farm.arm(one, 1)?;
        let build = self.build()?;
        let first = until("nobody dies", || self.dead_agent(None))?;
        self.farm.disarm(Victim::Agent);
        let second = 1 - first;
        if self.farm.agents[second].process.is_dying() {
            // It was still at another build, and came there as well.
            until("nobody dies", || self.dead_agent(Some(second)))?;
            self.killed += 1;
            self.farm.agents[second].process.start()?;
        }
        self.farm.agents[second].process.arm(other.name(), 1)?;
        until("nobody takes over and dies", || {
            self.dead_agent(Some(second))
        })?;
        self.killed += 2;
        self.farm.agents[second].process.start()?;
        self.farm.agents[first].process.start()?;
        build.wait(&self.farm.client())
    }

    /// An agent that has died and was not started again; that one, if one is named.
    fn dead_agent(&mut self, only: Option<usize>) -> anyhow::Result<Option<usize>> {
        for (number, agent) in self.farm.agents.iter_mut().enumerate() {
            if only.is_none_or(|it| it == number) && agent.process.has_died()? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// A build that both have begun, and who of them is late: he was stopped meanwhile, and still is.
    fn contested(&mut self) -> anyhow::Result<(Build, usize)> {
        let client = self.farm.client();
        for _ in 0..MISSED {
            let build = self.build()?;
            let first = until("nobody builds", || Ok(self.builder(&build, None)))?;
            self.farm.agents[first].process.signal("STOP")?;
            let second = Some(1 - first);
            let taken_over = until("nobody takes over", || {
                if self.builder(&build, second).is_some() {
                    return Ok(Some(true));
                }
                // Who took over may have been fast.
                let ended = build.has_ended(&client)?;
                Ok(ended.then(|| self.builder(&build, second).is_some()))
            })?;
            if taken_over {
                return Ok((build, first));
            }
            self.farm.agents[first].process.signal("CONT")?;
            self.missed += 1;
        }
        bail!("{MISSED} builds were through before their agent was stopped")
    }

    /// An agent is stopped while it builds, until another has begun as well. Then it goes on, and anybody may die.
    fn race(
        &mut self,
        late: Point,
        other: Point,
        coordinator: Point,
        random: &mut Random,
    ) -> anyhow::Result<()> {
        let (build, first) = self.contested()?;
        let second = 1 - first;
        // Somewhere in what the second does.
        std::thread::sleep(Duration::from_millis(random.below(1_000)));
        self.farm.agents[first].process.arm(late.name(), 1)?;
        self.farm.agents[second].process.arm(other.name(), 1)?;
        self.farm.coordinator.arm(coordinator.name(), 1)?;
        self.farm.agents[first].process.signal("CONT")?;
        let client = self.farm.client();
        self.during(std::thread::spawn(move || build.wait(&client)))?;
        self.farm.disarm(Victim::Agent);
        self.farm.disarm(Victim::Coordinator);
        self.killed += self.farm.settle()?.len() + self.farm.replace_dead()?.len();
        Ok(())
    }

    /// Which agent has begun to build, if one has, or that one. The coordinator hears of it later.
    fn builder(&self, build: &Build, only: Option<usize>) -> Option<usize> {
        let derivation = build.made.path.to_string();
        let mut agents = self.farm.agents.iter().enumerate();
        agents.find_map(|(number, agent)| {
            let said = agent.process.said();
            let mut lines = said.lines();
            let builds =
                lines.any(|line| line.contains(": building") && line.ends_with(&derivation));
            (builds && only.is_none_or(|it| it == number)).then_some(number)
        })
    }

    /// Starts again who dies, until this is done.
    fn during(&mut self, work: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
        while !work.is_finished() {
            self.killed += self.farm.replace_dead()?.len();
            std::thread::sleep(Duration::from_millis(1));
        }
        match work.join() {
            Ok(done) => done.inspect_err(|_| self.farm.tell_logs()),
            Err(_) => bail!("a client panicked"),
        }
    }
}

fn until<T>(
    what: &str,
    mut reached: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(reached) = reached()? {
            return Ok(reached);
        }
        ensure!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
