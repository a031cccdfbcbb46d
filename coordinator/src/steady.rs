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
    /// What was last told of the clock itself, and when.
    from: (Timestamp, Instant),
}

impl Steady {
    pub(crate) fn new(clock: Timestamp) -> Self {
        Self {
            from: (clock, Instant::now()),
        }
    }

    /// What time it is, where the clock says this; `at` is now.
    pub(crate) fn now(&mut self, clock: Timestamp, at: Instant) -> Timestamp {
        let (shown, since) = self.from;
        let on = shown.after(at.saturating_duration_since(since) / 2);
        if clock >= on {
            self.from = (clock, at);
            return clock;
        }
        on
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
        assert_eq!(at(20, 9_960_000), 10_015_000);
        assert_eq!(at(40, 9_980_000), 10_025_000);
        // Two minutes later it has caught up.
        assert_eq!(at(128, 10_068_000), 10_069_000);
        assert_eq!(at(132, 10_072_000), 10_072_000);
        // And goes on as it should, also by leaps.
        assert_eq!(at(133, 20_000_000), 20_000_000);
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
