//! Chance that can be had again.

use std::time::Duration;

/// Random numbers (xorshift64*) from a seed that is printed.
pub(crate) struct Random(u64);

impl Random {
    /// From `GRANGE_CRASH_SEED`, or a new one.
    pub(crate) fn new() -> Self {
        let given = std::env::var("GRANGE_CRASH_SEED").ok();
        let given = given.map(|seed| seed.parse().expect("GRANGE_CRASH_SEED is a number"));
        let seed: u64 = given.unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
        println!("seed: GRANGE_CRASH_SEED={seed}");
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % end
    }

    /// A pause of less than so many milliseconds.
    pub(crate) fn pause(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most))
    }
}
