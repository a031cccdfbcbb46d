//! Each target takes what is nearly an input of its corpus: the same mutants each time, on any toolchain.

use std::fs;

use grange_fuzz::TARGETS;

use crate::corpora::inputs;

/// Mutants that a target is tried with.
const MUTANTS: usize = 2_000;

/// The same for targets that build a farm of each, open a connection, or write files through to the disk.
const FARMS: usize = 150;
const SLOW: &[&str] = &[
    "answers",
    "core",
    "daemon",
    "disk",
    "requests",
    "secrets",
    "substitute-server",
];

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const ODD: &[u8] = &[0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'\n', b'-', b':', b'/'];
        match self.below(3) {
            0 => ODD[self.below(ODD.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }

    /// Changes it somewhere, so that it may become part of another.
    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len());
        match self.below(6) {
            _ if bytes.is_empty() => bytes.push(self.byte()),
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.byte(),
            2 => bytes.insert(at, self.byte()),
            3 => {
                let end = (at + 1 + self.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + 1 + self.below(16)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}

#[test]
fn mutants_of_the_corpora_do_no_harm() {
    for (seed, target) in (1..).zip(TARGETS) {
        let mut chance = Chance(seed);
        let files = inputs(target.name);
        let inputs: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        let count = if SLOW.contains(&target.name) {
            FARMS
        } else {
            MUTANTS
        };
        for number in 0..count {
            let mut bytes = inputs[chance.below(inputs.len())].clone();
            for _ in 0..=chance.below(4) {
                let other = chance.below(inputs.len());
                chance.mutate(&mut bytes, &inputs[other]);
            }
            bytes.truncate(target.max_len);
            let outcome = std::panic::catch_unwind(|| (target.run)(&bytes));
            let name = target.name;
            assert!(outcome.is_ok(), "{name}, mutant {number}: {bytes:?}");
        }
    }
}
