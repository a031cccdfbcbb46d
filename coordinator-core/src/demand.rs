//! What builds use up while they run, and what agents have left of it.

use grange_model::{CORES, DISK, MEMORY, Resources};

use crate::tables::Agent;

/// What the builds of a class use up.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Demand {
    /// Said by submitters, or learned from an attempt that was killed: an agent that offers less never gets such a build.
    pub(crate) asked: Resources,
    /// Predicted. Where it is more than an agent has in all, the build has the agent to itself.
    pub(crate) predicted: Resources,
}

impl Demand {
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.predicted.is_empty()
    }

    /// What a build takes of this agent while it runs.
    pub(crate) fn of(&self, agent: &Agent) -> Resources {
        let asked = self.asked.iter();
        let asked = asked.map(|(name, amount)| (name.clone(), *amount));
        let predicted = self.predicted.iter().filter_map(|(name, amount)| {
            let total = agent.total(name)?;
            Some((name.clone(), total.min(*amount)))
        });
        // What was asked for goes before what was predicted.
        predicted.chain(asked).collect()
    }
}

/// Whether an agent that does not say how much it has of it does not care.
fn is_free(name: &str) -> bool {
    matches!(name, CORES | MEMORY | DISK)
}

impl Agent {
    /// How much it has of it in all; none if it does not matter.
    pub(crate) fn total(&self, name: &str) -> Option<u64> {
        match self.capacity.resources.get(name) {
            Some(total) => Some(*total),
            None if is_free(name) => None,
            None => Some(0),
        }
    }

    /// How much of it is left; none if it does not matter.
    pub(crate) fn left(&self, name: &str) -> Option<u64> {
        let used = self.used.get(name).copied().unwrap_or(0);
        let left = self.total(name).map(|total| total.saturating_sub(used));
        match (left, self.health.disk_free) {
            (left, Some(free)) if name == DISK => Some(left.map_or(free, |left| left.min(free))),
            (left, _) => left,
        }
    }

    /// Whether it has enough of everything, if it did nothing else.
    pub(crate) fn could_afford(&self, demand: &Demand) -> bool {
        let mut asked = demand.asked.iter();
        asked.all(|(name, amount)| self.total(name).is_none_or(|total| total >= *amount))
    }

    /// Whether enough of everything is left.
    pub(crate) fn affords(&self, demand: &Demand) -> bool {
        self.short_of(demand).next().is_none()
    }

    /// Whether enough would be left if this were not used up.
    pub(crate) fn would_afford(&self, demand: &Demand, without: &Resources) -> bool {
        let gets = |name: &str| without.get(name).copied().unwrap_or(0);
        let mut short = self.short_of(demand);
        short.all(|(name, needs, left)| left.saturating_add(gets(name)) >= needs)
    }

    /// What is missing beside what it does now: name, how much is needed, how much is left.
    pub(crate) fn short_of<'a>(
        &'a self,
        demand: &'a Demand,
    ) -> impl Iterator<Item = (&'a str, u64, u64)> + 'a {
        let asked = demand.asked.iter();
        let asked = asked.map(|(name, amount)| (name, *amount));
        let predicted = demand.predicted.iter();
        let predicted = predicted.filter(|(name, _)| !demand.asked.contains_key(*name));
        let predicted = predicted.filter_map(|(name, amount)| {
            let total = self.total(name)?;
            Some((name, total.min(*amount)))
        });
        asked.chain(predicted).filter_map(|(name, amount)| {
            let left = self.left(name)?;
            (left < amount).then_some((name.as_str(), amount, left))
        })
    }

    /// It has begun to use this up.
    pub(crate) fn occupy(&mut self, needs: &Resources) {
        for (name, amount) in needs {
            let used = self.used.entry(name.clone()).or_default();
            *used = used.saturating_add(*amount);
        }
    }

    /// It uses this up no longer.
    pub(crate) fn vacate(&mut self, needs: &Resources) {
        for (name, amount) in needs {
            if let Some(used) = self.used.get_mut(name) {
                *used = used.saturating_sub(*amount);
                if *used == 0 {
                    self.used.remove(name);
                }
            }
        }
    }

    /// What speaks against giving it anything just now, in words.
    pub(crate) fn pressure(&self) -> Vec<String> {
        let (health, limits) = (&self.health, &self.capacity.admission);
        let hundredths = |value: u32| format!("{}.{:02}", value / 100, value % 100);
        let exceeds = |what: &str, unit: &str, value: u32, most: Option<u32>| {
            let most = most.filter(|most| value > *most)?;
            Some(format!(
                "its {what} is {}{unit}, and may be {}{unit}",
                hundredths(value),
                hundredths(most)
            ))
        };
        let words = [
            exceeds("load", "", health.load, limits.max_load),
            exceeds(
                "processor pressure",
                " %",
                health.cpu_pressure,
                limits.max_cpu_pressure,
            ),
            exceeds(
                "memory pressure",
                " %",
                health.memory_pressure,
                limits.max_memory_pressure,
            ),
            exceeds(
                "disk pressure",
                " %",
                health.io_pressure,
                limits.max_io_pressure,
            ),
            self.lacks_disk(),
        ];
        words.into_iter().flatten().collect()
    }

    fn lacks_disk(&self) -> Option<String> {
        let (free, least) = (
            self.health.disk_free?,
            self.capacity.admission.min_disk_free?,
        );
        let message = || format!("{free} bytes of its disk are free, and there must be {least}");
        (free < least).then(message)
    }

    /// Whether it gets nothing new until it does better.
    pub(crate) fn is_pressed(&self) -> bool {
        let (health, limits) = (&self.health, &self.capacity.admission);
        let above = |value: u32, most: Option<u32>| most.is_some_and(|most| value > most);
        above(health.load, limits.max_load)
            || above(health.cpu_pressure, limits.max_cpu_pressure)
            || above(health.memory_pressure, limits.max_memory_pressure)
            || above(health.io_pressure, limits.max_io_pressure)
            || self.lacks_disk().is_some()
    }
}

/// More than this nobody has of anything: so that sums are small enough.
const MOST: u64 = 1 << 53;

/// The resources but for those that are none.
pub(crate) fn positive(resources: &Resources) -> Resources {
    let some = resources.iter().filter(|(_, amount)| **amount > 0);
    some.map(|(name, amount)| (name.clone(), MOST.min(*amount)))
        .collect()
}

/// Amounts that a class can be told by: so that predictions, each a little different, do not make a class each.
///
/// Up to the next step of an eighth of a power of two.
pub(crate) fn rounded(amount: u64) -> u64 {
    let Some(top) = amount.checked_ilog2().filter(|top| *top >= 3) else {
        return amount;
    };
    let step = 1_u64 << (top - 3);
    amount.checked_next_multiple_of(step).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_up_by_an_eighth_at_most() {
        assert_eq!(rounded(0), 0);
        assert_eq!(rounded(7), 7);
        assert_eq!(rounded(1 << 30), 1 << 30);
        assert_eq!(rounded((1 << 30) + 1), (1 << 30) + (1 << 27));
        assert_eq!(rounded(u64::MAX), u64::MAX);
        for amount in [9, 1_000, 123_456_789, (1 << 62) + 5] {
            let up = rounded(amount);
            assert!(up >= amount && up - amount <= amount / 8, "{amount}: {up}");
        }
    }
}
