//! Numbers that look as if they came by chance.

use std::f64::consts::TAU;

/// The next of the numbers that begin with a seed: `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
/// 2014).
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number that stands for a text: the same on every machine and for ever.
pub(crate) fn hash(text: &str) -> u64 {
    let mut state = text.len() as u64;
    for part in text.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        state ^= u64::from_le_bytes(word);
        state = next(&mut state);
    }
    state
}

/// What is drawn from a seed and from what it is drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The same for something that this number stands for.
    pub(crate) fn with(self, what: u64) -> Self {
        let mut state = self.0;
        Self(next(&mut state) ^ what)
    }

    /// At least 0 and below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        // 53 bits are what a number keeps.
        (next(&mut self.0) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of the normal distribution with mean 0 and deviation 1 (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (TAU * self.unit()).cos()
    }
}
