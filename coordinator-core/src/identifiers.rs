//! Names for what nobody outside names: implicit builds.

use grange_model::{BuildId, Timestamp};
use uuid::Builder;

/// Version 7 identifiers from a seed: the same seed and the same calls give the same names.
#[derive(Debug)]
pub(crate) struct Identifiers {
    state: u64,
}

impl Identifiers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self, now: Timestamp) -> BuildId {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.draw().to_le_bytes());
        random[8..].copy_from_slice(&self.draw().to_le_bytes()[..2]);
        BuildId(Builder::from_unix_timestamp_millis(now.0, &random).into_uuid())
    }

    /// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
