//! What builds of a package have taken so far.
//!
//! Of each quantity are kept how many samples there were, the mean and the variance of their logarithms, of which the newest
//! sixteen or so count most, and the largest: a few bytes, however many builds there were. Durations and memory are skewed to
//! the right, and about normal in the logarithm; so quantiles follow from mean and variance.
//!
//! All of it is integers, so that every machine comes to the same. The logarithm is that to base 2, straight between powers of
//! two (J. N. Mitchell, "Computer multiplication and division using binary logarithms", 1962): at most 0.09 off, and undone
//! exactly, so that what always took the same is predicted to take just that.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What builds of a package on a system have taken so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// The name of the derivation without its version.
    pub package: String,
    /// What was built for.
    pub system: String,
    /// When it was added to last.
    pub updated_at: Timestamp,
    /// Milliseconds that the builder ran, as if all agents had speed 1.
    pub duration: Spread,
    /// Bytes of memory that it had at most.
    pub memory: Spread,
}

/// How a quantity is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// How many samples there were.
    pub samples: u32,
    /// The mean of their logarithms, in 65,536ths.
    pub mean: u32,
    /// The variance of their logarithms, in 65,536ths of 65,536ths.
    pub variance: u64,
    /// The largest of them.
    pub max: u64,
}

/// Quantiles of a quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Half of the builds take no more.
    pub p50: u64,
    /// Nine of ten builds take no more.
    pub p90: u64,
}

/// Bits behind the point of a logarithm.
const POINT: u32 = 16;
/// So many samples count; the older, the less.
const WINDOW: u32 = 16;
/// No logarithm is larger.
const MOST: u32 = 64 << POINT;
/// How many thousandths of the standard deviation the 0.9 quantile of a normal distribution lies above its mean.
const P90: u64 = 1_282;
/// Half of the natural logarithm of 2, in 65,536ths.
const HALF_LN_2: u64 = 22_713;

impl Spread {
    /// That of which these are the quantiles. None if there is no sample, or if they are not in order.
    #[must_use]
    pub fn of(samples: u32, quantiles: Quantiles, max: u64) -> Option<Self> {
        let Quantiles { p50, p90 } = quantiles;
        if samples == 0 || p50 > p90 || p90 > max {
            return None;
        }
        let above = u64::from(logarithm(p90) - logarithm(p50));
        let deviation = (above * 1_000 + P90 / 2) / P90;
        Some(Self {
            samples,
            mean: logarithm(p50),
            variance: deviation * deviation,
            max,
        })
    }

    /// Adds a sample.
    pub fn add(&mut self, sample: u64) {
        self.samples = self.samples.saturating_add(1);
        self.max = self.max.max(sample);
        let weight = i64::from(self.weight());
        let apart = i64::from(logarithm(sample)) - i64::from(self.mean);
        let mean = i64::from(self.mean) + apart / weight;
        self.mean = u32::try_from(mean).unwrap_or(MOST).min(MOST);
        let square = apart.unsigned_abs().pow(2);
        let weight = weight.unsigned_abs();
        self.variance = self.variance.saturating_add(square / weight) / weight * (weight - 1);
    }

    /// How many samples count, about.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.samples.min(WINDOW)
    }

    /// Its mean, not above the largest sample.
    #[must_use]
    pub fn expected(&self) -> Option<u64> {
        let mean = Quantiles::mean(self.mean, self.variance);
        (self.samples > 0).then_some(mean.min(self.max))
    }

    /// Its quantiles, none above the largest sample.
    #[must_use]
    pub fn quantiles(&self) -> Option<Quantiles> {
        if self.samples == 0 {
            return None;
        }
        let Quantiles { p50, p90 } = Quantiles::normal(self.mean, self.variance);
        Some(Quantiles {
            p50: p50.min(self.max),
            p90: p90.min(self.max),
        })
    }
}

impl Quantiles {
    /// The mean of a quantity whose logarithm is normal, from mean and variance of that as in [`Spread`]: more than the median,
    /// the more the wider it is spread.
    #[must_use]
    pub fn mean(mean: u32, variance: u64) -> u64 {
        let above = (variance >> POINT).saturating_mul(HALF_LN_2) >> POINT;
        let mean = u64::from(mean).saturating_add(above).min(u64::from(MOST));
        power(u32::try_from(mean).unwrap_or(MOST))
    }

    /// Of a quantity whose logarithm is normal, from its mean and variance as in [`Spread`].
    #[must_use]
    pub fn normal(mean: u32, variance: u64) -> Self {
        let above = variance.isqrt().min(u64::from(MOST)) * P90 / 1_000;
        let p90 = u64::from(mean).saturating_add(above).min(u64::from(MOST));
        Self {
            p50: power(mean),
            p90: power(u32::try_from(p90).unwrap_or(MOST)),
        }
    }
}

/// To base 2, straight between powers of two. That of 0 is that of 1.
fn logarithm(value: u64) -> u32 {
    let Some(top) = value.checked_ilog2() else {
        return 0;
    };
    let rest = value - (1 << top);
    let rest = if top > POINT {
        rest >> (top - POINT)
    } else {
        rest << (POINT - top)
    };
    // Less than a whole.
    (top << POINT) + u32::try_from(rest).unwrap_or(0)
}

/// What this is the logarithm of.
fn power(logarithm: u32) -> u64 {
    let top = logarithm >> POINT;
    if top >= u64::BITS {
        return u64::MAX;
    }
    let rest = u64::from(logarithm & ((1 << POINT) - 1));
    let rest = if top > POINT {
        rest << (top - POINT)
    } else {
        rest >> (POINT - top)
    };
    (1 << top) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(samples: &[u64]) -> Spread {
        let mut spread = Spread::default();
        for sample in samples {
            spread.add(*sample);
        }
        spread
    }

    #[test]
    fn powers_undo_logarithms() {
        for value in [1, 2, 3, 1_000, 65_535, 1 << 40, 3 << 50] {
            assert_eq!(power(logarithm(value)), value);
        }
        let most = power(logarithm(u64::MAX));
        assert!(most > u64::MAX - (1 << 48), "{most}");
        assert_eq!(logarithm(0), 0);
        assert_eq!(power(u32::MAX), u64::MAX);
    }

    #[test]
    fn what_always_takes_the_same_is_predicted_so() {
        let spread = spread(&[90_000; 40]);
        let (p50, p90) = (90_000, 90_000);
        assert_eq!(spread.quantiles(), Some(Quantiles { p50, p90 }));
        assert_eq!(spread.samples, 40);
    }

    #[test]
    fn quantiles_are_about_those_of_the_samples() {
        // 60 s, and up to 1.5 times as much or little.
        let samples: Vec<u64> = (0..200).map(|at| 40_000 + (at * 7_919) % 50_000).collect();
        let quantiles = spread(&samples).quantiles().unwrap();
        assert!((50_000..75_000).contains(&quantiles.p50), "{quantiles:?}");
        assert!((75_000..=90_000).contains(&quantiles.p90), "{quantiles:?}");
    }

    #[test]
    fn the_mean_is_above_the_median_where_samples_are_skewed() {
        assert_eq!(spread(&[90_000; 40]).expected(), Some(90_000));
        // 1 s to 65 s, evenly in the logarithm.
        let samples: Vec<u64> = (0..240).map(|at| 1_000 << ((at * 5) % 7)).collect();
        let spread = spread(&samples);
        let (mean, median) = (spread.expected().unwrap(), spread.quantiles().unwrap().p50);
        assert!((15_000..26_000).contains(&mean), "{mean}");
        assert!(mean > 2 * median, "{mean} {median}");
        assert_eq!(Spread::default().expected(), None);
        assert_eq!(Quantiles::mean(u32::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn the_newest_count_most() {
        let mut samples = vec![1_000; 100];
        samples.extend([8_000; 60]);
        let quantiles = spread(&samples).quantiles().unwrap();
        assert!(quantiles.p50 > 7_000, "{quantiles:?}");
    }

    #[test]
    fn extremes_are_survived() {
        let mut wild = spread(&[0, u64::MAX, 0, u64::MAX, u64::MAX]);
        wild.samples = u32::MAX;
        wild.variance = u64::MAX;
        wild.mean = u32::MAX;
        wild.add(0);
        wild.add(u64::MAX);
        assert!(wild.quantiles().is_some());
        assert_eq!(Spread::default().quantiles(), None);
    }

    #[test]
    fn quantiles_make_a_spread_that_has_them() {
        let quantiles = Quantiles {
            p50: 60_000,
            p90: 95_000,
        };
        let spread = Spread::of(7, quantiles, 120_000).unwrap();
        let again = spread.quantiles().unwrap();
        assert_eq!((spread.samples, again.p50), (7, 60_000));
        assert!(again.p90.abs_diff(95_000) < 10, "{again:?}");
        for (samples, p50, p90, max) in [(0, 1, 1, 1), (1, 2, 1, 2), (1, 1, 2, 1)] {
            assert_eq!(Spread::of(samples, Quantiles { p50, p90 }, max), None);
        }
    }
}
