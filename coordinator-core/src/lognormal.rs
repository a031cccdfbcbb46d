//! Quantities whose logarithm is normal.
//!
//! Floating point: what is reckoned here is told to people and decides nothing, so that machines may come to differ by a
//! millisecond.

use grange_model::Quantiles;

/// How many standard deviations the 0.9 quantile of a normal distribution lies above its mean.
const P90: f64 = 1.281_551_6;

/// A distribution of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogNormal {
    /// Mean and standard deviation of the natural logarithm.
    mean: f64,
    deviation: f64,
}

impl LogNormal {
    /// That of which these are the quantiles.
    pub(crate) fn of(quantiles: Quantiles) -> Self {
        let logarithm = |milliseconds: u64| (milliseconds.max(1) as f64).ln();
        let (p50, p90) = (logarithm(quantiles.p50), logarithm(quantiles.p90));
        Self {
            mean: p50,
            deviation: ((p90 - p50) / P90).clamp(0.0, 4.0),
        }
    }

    /// That which has this mean and this variance.
    pub(crate) fn with(mean: f64, variance: f64) -> Self {
        let mean = mean.max(1.0);
        // L. Fenton, "The sum of log-normal probability distributions in scatter transmission systems", 1960.
        let square = (1.0 + variance / (mean * mean)).ln();
        Self {
            mean: mean.ln() - square / 2.0,
            deviation: square.sqrt(),
        }
    }

    pub(crate) fn mean(&self) -> f64 {
        (self.mean + self.deviation * self.deviation / 2.0).exp()
    }

    pub(crate) fn variance(&self) -> f64 {
        let square = self.deviation * self.deviation;
        self.mean().powi(2) * square.exp_m1()
    }

    /// What is left, when so much has passed: as a distribution with the median and the 0.9 quantile that this leaves.
    pub(crate) fn after(&self, passed: f64) -> Self {
        if passed < 1.0 {
            return *self;
        }
        // Beyond four deviations nothing is known but that it takes long.
        let at = (passed.ln() - self.mean) / self.deviation.max(1e-3);
        let gone = normal(at.min(4.0));
        let left = |share: f64| {
            let quantile = inverse_normal(gone + (1.0 - gone) * share);
            let all = (self.mean + self.deviation * quantile).exp();
            // Who is late may always be about to end.
            (all - passed).max(passed / 20.0)
        };
        Self::of(Quantiles {
            p50: left(0.5) as u64,
            p90: left(0.9) as u64,
        })
    }

    /// The same, off by some factor whose logarithm has this deviation.
    pub(crate) fn doubted(&self, deviation: f64) -> Self {
        Self {
            deviation: self.deviation.hypot(deviation),
            ..*self
        }
    }

    /// The same, of which each takes so much longer or shorter: a factor with this mean and variance, whatever it takes.
    pub(crate) fn times(&self, mean: f64, variance: f64) -> Self {
        let square = self.variance() + self.mean().powi(2);
        let all = square * (variance + mean * mean);
        let product = self.mean() * mean;
        Self::with(product, (all - product * product).max(0.0))
    }

    /// The same, faster by so much.
    pub(crate) fn at_speed(&self, speed: f64) -> Self {
        Self {
            mean: self.mean - speed.ln(),
            ..*self
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        // What is too large becomes the largest number.
        let milliseconds = |logarithm: f64| logarithm.exp() as u64;
        Quantiles {
            p50: milliseconds(self.mean),
            p90: milliseconds(self.mean + P90 * self.deviation),
        }
    }
}

/// Mean and variance of the larger of two quantities, of each of which these are the mean and the variance: as if they were normal
/// and had nothing to do with each other. C. E. Clark, "The greatest of a finite set of random variables", 1961.
pub(crate) fn larger(one: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    let (one, other) = if one.0 >= other.0 {
        (one, other)
    } else {
        (other, one)
    };
    let spread = (one.1 + other.1).sqrt();
    let apart = one.0 - other.0;
    // Then it is the one that is larger at the mean.
    if apart >= 4.0 * spread {
        return one;
    }
    let at = apart / spread;
    let (below, density) = (normal(at), density(at));
    let mean = one.0 * below + other.0 * (1.0 - below) + spread * density;
    let squares = (one.0 * one.0 + one.1) * below
        + (other.0 * other.0 + other.1) * (1.0 - below)
        + (one.0 + other.0) * spread * density;
    (mean, (squares - mean * mean).max(0.0))
}

/// That of the normal distribution.
fn density(at: f64) -> f64 {
    (-at * at / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The share of a normal distribution that lies below: good to 1e-7. M. Abramowitz and I. Stegun, "Handbook of mathematical
/// functions", 1964, formula 26.2.17.
fn normal(at: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * at.abs());
    let terms = [
        0.319_381_53,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let above = density(at) * sum;
    if at >= 0.0 { 1.0 - above } else { above }
}

/// Below which such a share of a normal distribution lies: good to 5e-4. The same, formula 26.2.23.
fn inverse_normal(share: f64) -> f64 {
    let share = share.clamp(1e-9, 1.0 - 1e-9);
    let tail = share.min(1.0 - share);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let at = t - above / below;
    if share >= 0.5 { at } else { -at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_and_its_inverse_agree() {
        for at in [-3.0, -1.5, -0.2, 0.0, 0.7, 1.281_55, 2.5] {
            assert!((inverse_normal(normal(at)) - at).abs() < 1e-3, "{at}");
        }
        assert!((normal(P90) - 0.9).abs() < 1e-6);
    }

    #[test]
    fn quantiles_mean_and_variance_belong_together() {
        let quantiles = Quantiles {
            p50: 60_000,
            p90: 216_000,
        };
        let one = LogNormal::of(quantiles);
        // A deviation of 1: the mean is the median times the root of e.
        assert!(
            (one.mean() / 60_000.0 - 1.649).abs() < 0.01,
            "{}",
            one.mean()
        );
        let again = LogNormal::with(one.mean(), one.variance()).quantiles();
        assert!(again.p50.abs_diff(60_000) < 10 && again.p90.abs_diff(216_000) < 10);
    }

    #[test]
    fn the_larger_of_two_is_larger_than_either() {
        // Of two that are normal the larger is that much above their mean: the deviation by the root of pi.
        let (mean, variance) = larger((100.0, 9.0), (100.0, 9.0));
        assert!((mean - 101.693).abs() < 1e-2, "{mean}");
        assert!(
            (variance - 9.0 * (1.0 - 1.0 / std::f64::consts::PI)).abs() < 1e-2,
            "{variance}"
        );
        assert_eq!(larger((5.0, 1.0), (100.0, 9.0)), (100.0, 9.0));
        assert_eq!(larger((7.0, 0.0), (7.0, 0.0)), (7.0, 0.0));
    }

    #[test]
    fn factors_spread_what_they_are_applied_to() {
        let one = LogNormal::with(60.0, 100.0).times(2.0, 0.25);
        assert!((one.mean() - 120.0).abs() < 1e-6);
        // (100 + 3600) (0.25 + 4) - 120 * 120
        assert!(
            (one.variance() - 1_325.0).abs() < 1e-6,
            "{}",
            one.variance()
        );
    }

    #[test]
    fn who_has_run_for_long_has_longer_to_go_than_it_seemed() {
        let one = LogNormal::of(Quantiles {
            p50: 60_000,
            p90: 216_000,
        });
        assert_eq!(one.after(0.0), one);
        let left = one.after(60_000.0).quantiles();
        // Of those that take more than the median, half take more than its 0.75 quantile.
        assert!(left.p50.abs_diff(57_800) < 600, "{left:?}");
        let never = LogNormal::of(Quantiles { p50: 1, p90: 1 });
        let late = never.after(1e9).quantiles();
        assert!(late.p50 > 1_000_000 && late.p90 >= late.p50, "{late:?}");
    }
}
