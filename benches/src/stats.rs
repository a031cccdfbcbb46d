//! Medians and percentiles.

use std::time::Duration;

/// Measurements, sorted.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// These measurements, of which there must be one.
    #[must_use]
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// Durations, in milliseconds.
    #[must_use]
    pub fn of_millis(values: &[Duration]) -> Self {
        Self::new(values.iter().map(|it| it.as_secs_f64() * 1e3).collect())
    }

    /// The smallest value that at least `percent` of a hundred values do not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// The value in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len() % 2 == 1 {
            self.0[middle]
        } else {
            (self.0[middle - 1] + self.0[middle]) / 2.0
        }
    }

    /// Least, quartiles, and greatest, in words.
    #[must_use]
    pub fn spread(&self) -> String {
        let [low, high] = [25, 75].map(|percent| self.percentile(percent));
        let (least, most) = (self.percentile(0), self.percentile(100));
        format!(
            "{least:.3} / {low:.3} / {:.3} / {high:.3} / {most:.3}",
            self.median()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sample = Sample::new((1..=1000).rev().map(f64::from).collect());
        assert_eq!(sample.percentile(99), 990.0);
        assert_eq!(sample.percentile(50), 500.0);
        assert_eq!(sample.percentile(0), 1.0);
        assert_eq!(sample.percentile(100), 1000.0);
        assert_eq!(sample.median(), 500.5);
    }

    #[test]
    fn of_few_values_the_median_is_the_one_in_the_middle() {
        assert_eq!(Sample::new(vec![3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(Sample::new(vec![7.0]).percentile(99), 7.0);
    }
}
