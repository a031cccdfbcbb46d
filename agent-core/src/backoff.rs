//! How long to wait before trying again.

use std::time::Duration;

/// Numbers that waiting times are drawn from: the same for the same seed. Not for secrets.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// Those of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
    /// generators", 2014).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Waiting times that double up to a cap.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// For what nobody can mend but time: 200 ms, doubling up to 30 s.
    #[must_use]
    pub fn ordinary() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(30))
    }

    /// For what a person has to mend: 30 s, doubling up to 5 min.
    #[must_use]
    pub fn patient() -> Self {
        Self::new(Duration::from_secs(30), Duration::from_secs(300))
    }

    /// From `first` to `cap`.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap,
            failures: 0,
        }
    }

    /// How long to wait after one more failure: between half of this step and the whole of it, and
    /// not less than `at_least` (what the other side asked for), of which at most 5 min count.
    pub fn failed(&mut self, jitter: &mut Jitter, at_least: Option<Duration>) -> Duration {
        let step = self
            .first
            .saturating_mul(1 << self.failures.min(20))
            .min(self.cap);
        self.failures = self.failures.saturating_add(1);
        let half = u64::try_from(step.as_millis()).unwrap_or(u64::MAX) / 2;
        let drawn = Duration::from_millis(half.saturating_add(jitter.draw() % (half + 1)));
        drawn.max(at_least.unwrap_or_default().min(Duration::from_secs(300)))
    }

    /// It went.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How often it did not go since it last went.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_within_half_and_whole() {
        let mut jitter = Jitter::new(7);
        let mut backoff = Backoff::ordinary();
        for step in [
            200u64, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000,
        ] {
            let wait = backoff.failed(&mut jitter, None);
            let millis = u64::try_from(wait.as_millis()).unwrap();
            assert!(
                (step / 2..=step).contains(&millis),
                "{millis} is not within {step}"
            );
        }
        backoff.succeeded();
        assert!(backoff.failed(&mut jitter, None) <= Duration::from_millis(200));
        let asked = backoff.failed(&mut jitter, Some(Duration::from_secs(7)));
        assert_eq!(asked, Duration::from_secs(7));
        let absurd = backoff.failed(&mut jitter, Some(Duration::MAX));
        assert_eq!(absurd, Duration::from_secs(300));
    }

    #[test]
    fn one_seed_one_sequence() {
        let draw = |seed| {
            let mut jitter = Jitter::new(seed);
            [jitter.draw(), jitter.draw(), jitter.draw()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
