//! What builds of packages have taken so far.

use grange_model::{HistoryRecord, Quantiles, Spread, Timestamp};
use serde::{Deserialize, Serialize};

/// How many packages one message or answer has.
pub const MAX_PACKAGES: u32 = 1_000;
/// Bytes of the longest name of a package or a system.
const MAX_NAME: usize = 255;

/// What builds of a package on a system have taken so far.
///
/// Quantiles, not samples, so that a history can be made of what another farm says of its builds. What is exported and imported
/// again is the same but for rounding, a ten thousandth at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageHistory {
    /// The name of the derivation without its version.
    pub package: String,
    /// What was built for.
    pub system: String,
    /// When it was added to last, in milliseconds since 1970.
    #[serde(default)]
    pub updated_at_ms: u64,
    /// Milliseconds that the builder ran, as if all agents had speed 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<SpreadView>,
    /// Bytes of memory that it had at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<SpreadView>,
}

/// How a quantity is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadView {
    /// How many builds it goes by, at least 1; those beyond 16 only for show.
    pub samples: u32,
    /// Half of them took no more.
    pub p50: u64,
    /// Nine of ten took no more.
    pub p90: u64,
    /// None took more.
    pub max: u64,
}

impl SpreadView {
    fn of(spread: &Spread) -> Option<Self> {
        let Quantiles { p50, p90 } = spread.quantiles()?;
        Some(Self {
            samples: spread.samples,
            p50,
            p90,
            max: spread.max,
        })
    }

    fn spread(self) -> Result<Spread, String> {
        let Self {
            samples,
            p50,
            p90,
            max,
        } = self;
        let spread = Spread::of(samples, Quantiles { p50, p90 }, max);
        spread.ok_or_else(|| {
            format!(
                "there must be a sample, and p50 ≤ p90 ≤ max, not {samples}, {p50}, {p90}, {max}"
            )
        })
    }
}

impl PackageHistory {
    /// What is said of a record.
    #[must_use]
    pub fn of(record: &HistoryRecord) -> Self {
        Self {
            package: record.package.clone(),
            system: record.system.clone(),
            updated_at_ms: record.updated_at.0,
            duration_ms: SpreadView::of(&record.duration),
            memory: SpreadView::of(&record.memory),
        }
    }

    /// The record of which this is said.
    ///
    /// # Errors
    ///
    /// What cannot be, in words.
    pub fn record(&self) -> Result<HistoryRecord, String> {
        for (what, name) in [("package", &self.package), ("system", &self.system)] {
            if name.len() > MAX_NAME {
                return Err(format!(
                    "the name of the {what} is longer than {MAX_NAME} bytes"
                ));
            }
        }
        let spread = |what: &str, view: Option<SpreadView>| match view {
            None => Ok(Spread::default()),
            Some(view) => view.spread().map_err(|error| format!("{what}: {error}")),
        };
        Ok(HistoryRecord {
            package: self.package.clone(),
            system: self.system.clone(),
            updated_at: Timestamp(self.updated_at_ms),
            duration: spread("duration_ms", self.duration_ms)?,
            memory: spread("memory", self.memory)?,
        })
    }
}

/// What an unfinished build will take, to go by what others took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionView {
    /// Half of the builds take no longer, in milliseconds.
    pub duration_p50_ms: u64,
    /// Nine of ten take no longer.
    pub duration_p90_ms: u64,
    /// Nine of ten have no more memory, in bytes; none if too few were built to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_p90: Option<u64>,
    /// How many builds the duration goes by.
    pub samples: u32,
    /// Which: `package`, `other-systems` (the same package), `system` (all builds for it), `all`, or `config` if there were
    /// none.
    pub source: String,
}
