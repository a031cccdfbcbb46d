//! True time, and the clocks that show something else.

use grange_model::Timestamp;

/// Microseconds of true time since the simulation began. No node sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// So many milliseconds from the beginning.
    #[must_use]
    pub fn milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(1_000))
    }

    /// So many microseconds later.
    #[must_use]
    pub fn plus(self, microseconds: u64) -> Self {
        Self(self.0.saturating_add(microseconds))
    }
}

/// A node's clock: it drifts, and somebody may set it.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    set_at: Moment,
    /// Microseconds that it showed then.
    shown: u64,
    /// How much faster than true time it goes, in millionths.
    drift: i64,
}

/// What all clocks show when a simulation begins, about: 2026-01-01 in milliseconds.
const EPOCH: u64 = 1_767_225_600_000;

impl Clock {
    pub(crate) fn new(offset_ms: i64, drift: i64) -> Self {
        Self {
            set_at: Moment(0),
            shown: EPOCH.saturating_add_signed(offset_ms) * 1_000,
            drift,
        }
    }

    fn micros(&self, now: Moment) -> u64 {
        let passed = i64::try_from(now.0.saturating_sub(self.set_at.0)).unwrap_or(i64::MAX);
        let extra = passed / 1_000_000 * self.drift + passed % 1_000_000 * self.drift / 1_000_000;
        self.shown
            .saturating_add_signed(passed.saturating_add(extra))
    }

    /// What it shows.
    pub(crate) fn read(&self, now: Moment) -> Timestamp {
        Timestamp(self.micros(now) / 1_000)
    }

    /// Somebody sets it.
    pub(crate) fn jump(&mut self, now: Moment, milliseconds: i64) {
        self.shown = self
            .micros(now)
            .saturating_add_signed(milliseconds.saturating_mul(1_000));
        self.set_at = now;
    }

    /// It goes right from now on.
    pub(crate) fn mend(&mut self, now: Moment) {
        self.jump(now, 0);
        self.drift = 0;
    }

    /// When it will show this, if nobody sets it; not before `now`.
    pub(crate) fn when(&self, now: Moment, shows: Timestamp) -> Moment {
        let ahead = shows
            .0
            .saturating_mul(1_000)
            .saturating_sub(self.micros(now));
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
        // Of a clock that goes fast less time is needed.
        let less = ahead / 1_000_000 * self.drift;
        let needed = ahead.saturating_sub(less).max(0);
        // A little more rather than a little less: who wakes too early is woken again.
        now.plus(u64::try_from(needed).unwrap_or(0).saturating_add(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_drift_and_jump() {
        let mut clock = Clock::new(5, 100);
        let at = |clock: &Clock, seconds: u64| clock.read(Moment(seconds * 1_000_000)).0 - EPOCH;
        assert_eq!(at(&clock, 0), 5);
        assert_eq!(at(&clock, 10_000), 10_001_005);
        clock.jump(Moment(10_000_000_000), -3_600_000);
        assert_eq!(at(&clock, 10_000), 6_401_005);
        clock.mend(Moment(10_000_000_000));
        assert_eq!(at(&clock, 20_000), 16_401_005);
    }

    #[test]
    fn a_clock_says_when_it_will_show_something() {
        for drift in [-500, 0, 500] {
            let clock = Clock::new(0, drift);
            let now = Moment(7_000_000);
            let shows = Timestamp(EPOCH + 100_000);
            let when = clock.when(now, shows);
            let shown = clock.read(when);
            assert!(shown.0 >= shows.0 && shown.0 <= shows.0 + 200, "{shown:?}");
        }
    }
}
