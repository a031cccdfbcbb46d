//! Time that has passed, whatever the wall clock does.

use std::time::Duration;

use grange_model::Timestamp;

/// Milliseconds that have passed since the core was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Adds up how far the wall clock went forwards. Where it is set back, no time passes: if deadlines
/// were kept as wall-clock times, an agent whose clock is set back by an hour would wait that hour
/// before it called a lost coordinator again.
#[derive(Debug)]
pub(crate) struct Elapsed {
    seen: Timestamp,
    passed: Moment,
}

impl Elapsed {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            seen: now,
            passed: Moment(0),
        }
    }

    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.passed = self.passed.after(now.since(self.seen));
        self.seen = now;
    }

    pub(crate) fn now(&self) -> Moment {
        self.passed
    }

    /// What the wall clock will say at `moment` if nothing more happens to it.
    pub(crate) fn wall(&self, moment: Moment) -> Timestamp {
        self.seen.after(moment.since(self.passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_delays_nothing() {
        let mut elapsed = Elapsed::new(Timestamp(10_000_000));
        let deadline = elapsed.now().after(Duration::from_millis(500));
        elapsed.advance(Timestamp(10_000_200));
        elapsed.advance(Timestamp(6_400_000));
        assert_eq!(elapsed.wall(deadline), Timestamp(6_400_300));
        elapsed.advance(Timestamp(6_400_300));
        assert_eq!(elapsed.now(), deadline);
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let mut elapsed = Elapsed::new(Timestamp(0));
        for now in [u64::MAX, 0, u64::MAX] {
            elapsed.advance(Timestamp(now));
        }
        assert_eq!(
            elapsed.wall(elapsed.now().after(Duration::MAX)),
            Timestamp(u64::MAX)
        );
    }
}
