//! Time that goes on when the clock is set back.

use std::time::Instant;

use grange_model::Timestamp;

/// What the core is told, where the machine's clock may be set.
///
/// The core takes no time that runs backwards. If it were told nothing else, a clock that is set back by
/// an hour would stop it for that hour: no lease would end, and no exchange that waits would be
/// answered. So time goes on, half as fast as it should, until the clock has caught up.
#[derive(Debug)]
pub(crate) struct Steady {
    /// What the clock said last.
    clock: Timestamp,
    /// What was told last.
    told: Timestamp,
    /// What was told when the clock was set back, and when that was; until it has caught up.
    set_back: Option<(Timestamp, Instant)>,
}

impl Steady {
    pub(crate) fn new(clock: Timestamp) -> Self {
        Self {
            clock,
            told: clock,
            set_back: None,
        }
    }

    /// What time it is, where the clock says this; `at` is now.
    pub(crate) fn now(&mut self, clock: Timestamp, at: Instant) -> Timestamp {
        if clock < self.clock && self.set_back.is_none() {
            self.set_back = Some((self.told, at));
        }
        self.clock = clock;
        if let Some((told, since)) = self.set_back {
            self.told = told.after(at.saturating_duration_since(since) / 2);
        }
        if clock >= self.told {
            self.told = clock;
            self.set_back = None;
        }
        self.told
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_goes_on_until_the_clock_has_caught_up() {
        let begun = Instant::now();
        let mut steady = Steady::new(Timestamp(10_000_000));
        let mut at = |seconds: u64, clock: u64| {
            let at = begun + Duration::from_secs(seconds);
            steady.now(Timestamp(clock), at).0
        };
        assert_eq!(at(10, 10_010_000), 10_010_000);
        // It is set back by a minute.
        assert_eq!(at(20, 9_960_000), 10_010_000);
        assert_eq!(at(40, 9_980_000), 10_020_000);
        // And once more.
        assert_eq!(at(60, 9_970_000), 10_030_000);
        // Two minutes later it has caught up.
        assert_eq!(at(170, 10_080_000), 10_085_000);
        assert_eq!(at(200, 10_110_000), 10_110_000);
        // And goes on as it should, also by leaps.
        assert_eq!(at(201, 20_000_000), 20_000_000);
    }

    #[test]
    fn a_clock_that_stands_still_was_not_set_back() {
        let begun = Instant::now();
        let mut steady = Steady::new(Timestamp(5));
        for seconds in 0..5 {
            let at = begun + Duration::from_secs(seconds);
            assert_eq!(steady.now(Timestamp(7), at), Timestamp(7));
        }
    }

    #[test]
    fn many_looks_lose_no_time() {
        let begun = Instant::now();
        let mut steady = Steady::new(Timestamp(1_000_000));
        let mut last = Timestamp(0);
        for look in 0..10_000 {
            let at = begun + Duration::from_micros(look * 500);
            last = steady.now(Timestamp(0), at);
        }
        assert!(last.0 >= 1_002_490, "{last:?}");
    }
}
