//! All chance there is.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): the same
/// seed gives the same throws. Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Those of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed);
        // Seeds that follow each other shall not give throws that follow each other.
        Self(dice.throw())
    }

    /// Others, for a part of the whole: what happens elsewhere does not change its throws.
    #[must_use]
    pub fn apart(&self, part: u64) -> Self {
        Self::new(mix(self.0, part))
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.throw() % limit.max(1)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// Once in so many times.
    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// So many times in a thousand.
    pub fn per_mille(&mut self, rate: u32) -> bool {
        self.below(1_000) < u64::from(rate)
    }

    /// An index of something that has `length` elements; none if it has none.
    pub fn index(&mut self, length: usize) -> Option<usize> {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        (length > 0).then(|| usize::try_from(self.below(length)).unwrap_or(0))
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        self.index(of.len()).map(|at| &of[at])
    }
}

/// A number that depends on both.
#[must_use]
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    Dice(a.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ b.rotate_left(32)).throw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_throws() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            [dice.throw(), dice.throw(), dice.apart(3).throw()]
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
    }

    #[test]
    fn chance_is_even() {
        let mut dice = Dice::new(7);
        let ones = (0..4_000).filter(|_| dice.one_in(4)).count();
        assert!((900..1_100).contains(&ones), "{ones}");
        let often = (0..4_000).filter(|_| dice.per_mille(100)).count();
        assert!((300..500).contains(&often), "{often}");
        assert!((0..1_000).all(|_| (3..=5).contains(&dice.between(3, 5))));
    }
}
