//! How long builds take.

use serde::Deserialize;

use crate::chance::{self, Chance};
use crate::config::{self, ConfigError, YEAR_MS};
use crate::graph::Node;

/// The parameters that are used where nobody says others, and why they are what they are.
const DEFAULT: &str = include_str!("../data/durations.toml");

/// A model of how long builds take on a machine of speed 1.
///
/// It is drawn from a seed and from what is built, so that the same derivation takes the same time in each run, and
/// another version of its package about the same.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Durations {
    /// Another seed gives all packages other durations.
    pub seed: u64,
    /// Of what has no fixed output.
    pub built: Spread,
    /// Of what has one: downloads.
    pub fixed: Spread,
}

/// How durations are distributed: most log-normally, some by Pareto's law.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Seconds, of those that are distributed log-normally.
    pub median: f64,
    /// The deviation of the natural logarithm of these.
    pub deviation: f64,
    /// The share of packages, 0 to 1, that are distributed by Pareto's law.
    pub tail: f64,
    /// Seconds: the shortest of these.
    pub tail_from: f64,
    /// The exponent of that law, above 0: the smaller, the heavier the tail.
    pub tail_exponent: f64,
    /// Seconds, at most a year: nothing takes longer.
    pub longest: f64,
    /// The deviation of the natural logarithm from one version of a package to another.
    pub varies: f64,
}

impl Durations {
    /// Reads a model: TOML in the form of `data/durations.toml`.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn read(text: &str) -> Result<Self, ConfigError> {
        let model: Self = config::read("durations", text)?;
        for (name, spread) in [("built", model.built), ("fixed", model.fixed)] {
            spread
                .check()
                .map_err(|what| ConfigError::new("durations", format!("[{name}]: {what}")))?;
        }
        Ok(model)
    }

    /// Milliseconds that a derivation takes at speed 1, at least 1: what the graph says, or what is drawn. `version`
    /// tells the versions of a package apart.
    #[must_use]
    pub fn of(&self, node: &Node, version: u32) -> u64 {
        if let Some(duration) = node.duration_ms {
            return duration.max(1);
        }
        let is_fixed = node.fixed.is_some();
        let spread = if is_fixed { &self.fixed } else { &self.built };
        let package = chance::hash(node.package());
        let mut chance = Chance::new(self.seed)
            .with(package)
            .with(chance::hash(&node.system))
            .with(u64::from(is_fixed));
        let typical = spread.draw(&mut chance);
        let mut chance = chance
            .with(chance::hash(&node.name))
            .with(u64::from(version));
        let seconds = typical * (spread.varies * chance.normal()).exp();
        // A number of milliseconds that is not negative and is bounded: nothing is lost but its fraction.
        ((seconds.min(spread.longest) * 1e3) as u64).clamp(1, YEAR_MS)
    }
}

impl Default for Durations {
    fn default() -> Self {
        Self::read(DEFAULT).expect("the tests read it")
    }
}

impl Spread {
    fn draw(&self, chance: &mut Chance) -> f64 {
        if chance.unit() < self.tail {
            self.tail_from * (1.0 - chance.unit()).powf(-1.0 / self.tail_exponent)
        } else {
            self.median * (self.deviation * chance.normal()).exp()
        }
    }

    fn check(&self) -> Result<(), String> {
        let positive = [
            ("median", self.median),
            ("tail_from", self.tail_from),
            ("tail_exponent", self.tail_exponent),
            ("longest", self.longest),
        ];
        for (name, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return Err(format!("{name} {value} is not above 0"));
            }
        }
        if self.longest > YEAR_MS as f64 / 1e3 {
            return Err(format!("longest {} is more than a year", self.longest));
        }
        for (name, value) in [("deviation", self.deviation), ("varies", self.varies)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(format!("{name} {value} is below 0"));
            }
        }
        if !(0.0..=1.0).contains(&self.tail) {
            return Err(format!("tail {} is not between 0 and 1", self.tail));
        }
        Ok(())
    }
}
