//! The machines of a farm.

use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::bounds::Bounds;
use crate::config::{self, ConfigError};
use crate::workload::Workload;

/// Machines.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    machines: Vec<Machine>,
}

/// One machine, and the agent on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// What people call it.
    pub name: String,
    /// Systems that it builds for.
    pub systems: Vec<String>,
    /// How fast it is, within [`SPEEDS`]: a build takes its duration divided by this.
    pub speed: f64,
    /// How many builds it runs at once, each at full speed.
    pub slots: u32,
    /// How many more its agent takes beforehand.
    pub ahead: u32,
}

/// Machines that are drawn up by rule: their speeds lie between two, each the same factor above the one before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Speeds {
    /// How many.
    pub machines: u32,
    /// The speed of the first.
    pub slowest: f64,
    /// The speed of the last.
    pub fastest: f64,
    /// Systems that all of them build for.
    pub systems: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    machine: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: Option<String>,
    #[serde(default = "one")]
    count: u32,
    systems: Vec<String>,
    #[serde(default = "normal")]
    speed: f64,
    #[serde(default = "one")]
    slots: u32,
    #[serde(default)]
    ahead: u32,
}

/// So many machines at most: what a simulated farm has more than that is a slip of the pen.
const MOST: usize = 100_000;
/// So many slots of all machines at most, for the same reason.
const MOST_SLOTS: u64 = 10_000_000;

/// How fast a machine may be, so that what a build takes on it is a time that can be counted.
pub const SPEEDS: RangeInclusive<f64> = 0.001..=1_000.0;

impl Fleet {
    /// These machines.
    ///
    /// # Errors
    ///
    /// There is none, there are more than 100,000 of them or than 10 million slots in all, or one builds nothing or has a speed beyond
    /// [`SPEEDS`].
    pub fn new(machines: Vec<Machine>) -> Result<Self, ConfigError> {
        let wrong = |what: String| Err(ConfigError::new("fleet", what));
        if machines.is_empty() {
            return wrong("there is no machine in it".to_owned());
        }
        if machines.len() > MOST {
            return wrong(format!("{} machines; at most {MOST}", machines.len()));
        }
        for machine in &machines {
            let name = &machine.name;
            if !SPEEDS.contains(&machine.speed) {
                return wrong(format!(
                    "machine {name}: speed {} is not between {} and {}",
                    machine.speed,
                    SPEEDS.start(),
                    SPEEDS.end()
                ));
            }
            if machine.slots == 0 {
                return wrong(format!("machine {name}: it has no slots"));
            }
            if machine.systems.is_empty() {
                return wrong(format!("machine {name}: it has no systems"));
            }
        }
        let fleet = Self { machines };
        if fleet.slots() > MOST_SLOTS {
            let slots = fleet.slots();
            return wrong(format!("{slots} slots in all; at most {MOST_SLOTS}"));
        }
        Ok(fleet)
    }

    /// Reads a fleet: TOML with a table `[[machine]]` for each kind of machine.
    ///
    /// | key | what | default |
    /// |---|---|---|
    /// | `systems` | what it builds for, such as `["x86_64-linux"]` | – |
    /// | `name` | what people call it | `machine-1` and so on |
    /// | `count` | how many there are of it | 1 |
    /// | `speed` | a build takes its duration divided by this, 0.001 to 1000 | 1.0 |
    /// | `slots` | how many builds it runs at once, each at full speed | 1 |
    /// | `ahead` | how many more its agent takes beforehand | 0 |
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let file: File = config::read("fleet", text)?;
        let mut machines = Vec::new();
        for (number, row) in (1..).zip(file.machine) {
            if machines.len() + row.count as usize > MOST {
                return Err(ConfigError::new("fleet", format!("over {MOST} machines")));
            }
            let name = row.name.unwrap_or_else(|| format!("machine-{number}"));
            machines.extend((1..=row.count).map(|copy| Machine {
                name: if row.count == 1 {
                    name.clone()
                } else {
                    format!("{name}-{copy}")
                },
                systems: row.systems.clone(),
                speed: row.speed,
                slots: row.slots,
                ahead: row.ahead,
            }));
        }
        Self::new(machines)
    }

    /// All of them.
    #[must_use]
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// How many builds they run at once.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.machines.iter().map(|it| u64::from(it.slots)).sum()
    }

    /// The speeds of all slots together: seconds of work at speed 1 that they do in a second.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        let speeds = self.machines.iter();
        speeds.map(|it| it.speed * f64::from(it.slots)).sum()
    }

    /// The highest speed.
    #[must_use]
    pub fn fastest(&self) -> f64 {
        self.machines.iter().map(|it| it.speed).fold(0.0, f64::max)
    }
}

impl Speeds {
    /// As many slots that the work of a workload by all their speeds is `scale` times its critical path (see [`Bounds`]), or as near
    /// to that as whole slots come.
    ///
    /// # Errors
    ///
    /// As for [`Fleet::new`].
    pub fn scaled(&self, workload: &Workload, scale: f64) -> Result<Fleet, ConfigError> {
        // The critical path follows from the fastest machine, and not from how many slots there are.
        let path_ms = Bounds::new(workload, &self.fleet(0.0)?).path_ms;
        self.fleet(workload.work_ms() as f64 / (path_ms * scale))
    }

    /// So many slots in all, shared out evenly, at least one for each machine.
    ///
    /// # Errors
    ///
    /// As for [`Fleet::new`].
    pub fn with_slots(&self, slots: u32) -> Result<Fleet, ConfigError> {
        let mut fleet = self.fleet(0.0)?;
        let count = u64::from(self.machines.max(1));
        for (at, machine) in (0..).zip(&mut fleet.machines) {
            let before = |at: u64| u64::from(slots) * at / count;
            let slots = before(at + 1) - before(at);
            machine.slots = u32::try_from(slots).unwrap_or(u32::MAX).max(1);
        }
        Fleet::new(fleet.machines)
    }

    /// As many slots as `capacity` wants (see [`Fleet::capacity`]), shared out evenly, at least one for each machine.
    ///
    /// # Errors
    ///
    /// As for [`Fleet::new`].
    pub fn fleet(&self, capacity: f64) -> Result<Fleet, ConfigError> {
        if self.machines as usize > MOST {
            let what = format!("{} machines; at most {MOST}", self.machines);
            return Err(ConfigError::new("fleet", what));
        }
        let last = f64::from(self.machines.saturating_sub(1).max(1));
        // Rounding takes none beyond the last.
        let highest = self.fastest.max(self.slowest);
        let speeds: Vec<f64> = (0..self.machines)
            .map(|at| self.slowest * (self.fastest / self.slowest).powf(f64::from(at) / last))
            .map(|speed| speed.min(highest))
            .collect();
        let all: f64 = speeds.iter().sum();
        let each = capacity / all;
        let (mut due, mut given) = (0.0, 0.0);
        let machines = (1..).zip(speeds).map(|(number, speed): (u32, f64)| {
            due += each * speed;
            // What rounding took from the machines before this one, it gets.
            let slots = ((due - given) / speed).round().clamp(1.0, 1e6);
            given += slots * speed;
            Machine {
                name: format!("machine-{number}"),
                systems: self.systems.clone(),
                speed,
                // Between 1 and a million.
                slots: slots as u32,
                ahead: 0,
            }
        });
        Fleet::new(machines.collect())
    }
}

fn one() -> u32 {
    1
}

fn normal() -> f64 {
    1.0
}
