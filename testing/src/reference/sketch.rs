//! A farm's graph, and how its core is set.

use std::collections::BTreeSet;
use std::time::Duration;

use grange_coordinator_core::Config;
use grange_model::{DerivationRecord, Digest, InputRef, OutputRef};

use super::names::item;

/// More derivations than this a farm does not have.
const MAX_DERIVATIONS: usize = 24;

/// A graph in the making, and how the core is set. Whatever the numbers are, a farm comes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// At most 24 are taken.
    pub derivations: Vec<DerivationSketch>,
    /// Whether the core works in slices of one edge, instead of finishing what it began.
    pub small_slices: bool,
}

/// A derivation in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DerivationSketch {
    /// How many outputs it has, modulo three, and one more.
    pub outputs: u8,
    /// Modulo eight: below three, its only output is this one, which others may make, too.
    pub fixed: u8,
    /// Modulo four: 1 is another system than usual, 2 asks for a feature.
    pub kind: u8,
    /// Which earlier derivation, and which of its outputs, modulo how many there are; at most four are taken. What would make
    /// it wait for itself is left out.
    pub inputs: Vec<(u8, u8)>,
}

impl Sketch {
    pub(super) fn config(&self) -> Config {
        Config {
            slice: if self.small_slices { 1 } else { 4_000 },
            remember_failures: Duration::from_secs(3_600),
            remember_cancels: Duration::from_secs(100),
            ..Config::default()
        }
    }

    pub(super) fn records(&self) -> Vec<DerivationRecord> {
        let mut records = Vec::new();
        for sketch in self.derivations.iter().take(MAX_DERIVATIONS) {
            let record = sketch.record(&records);
            records.push(record);
        }
        records
    }
}

impl DerivationSketch {
    fn record(&self, earlier: &[DerivationRecord]) -> DerivationRecord {
        let number = u8::try_from(earlier.len()).unwrap_or(u8::MAX);
        let named = |part: u8, item| OutputRef {
            name: format!("out{part}"),
            item,
        };
        let outputs: Vec<_> = match self.fixed % 8 {
            fixed @ 0..3 => vec![named(0, item(b'f', fixed, 0))],
            _ => (0..=self.outputs % 3)
                .map(|part| named(part, item(b'o', number, part)))
                .collect(),
        };
        let own: BTreeSet<_> = outputs.iter().map(|output| output.item.digest).collect();
        let mut inputs = Vec::new();
        for (derivation, output) in self.inputs.iter().take(4) {
            let Some(of) = pick(earlier, *derivation) else {
                break;
            };
            let Some(output) = pick(&of.outputs, *output) else {
                continue;
            };
            let input = InputRef {
                derivation: of.item.digest,
                output: output.item.digest,
            };
            if !reaches(earlier, input.output, &own) && !inputs.contains(&input) {
                inputs.push(input);
            }
        }
        inputs.sort();
        DerivationRecord {
            item: item(b'd', number, 0),
            store: "/gnu/store".to_owned(),
            system: if self.kind % 4 == 1 {
                "i686-linux"
            } else {
                "x86_64-linux"
            }
            .to_owned(),
            outputs,
            inputs,
            sources: Vec::new(),
            hash: [number; 32],
            features: if self.kind % 4 == 2 {
                vec!["kvm".to_owned()]
            } else {
                Vec::new()
            },
        }
    }
}

pub(super) fn pick<T>(from: &[T], number: u8) -> Option<&T> {
    let at = usize::from(number).checked_rem(from.len())?;
    from.get(at)
}

/// Whether an output is one of these, or may need one of them to be made.
fn reaches(records: &[DerivationRecord], output: Digest, own: &BTreeSet<Digest>) -> bool {
    let mut seen = BTreeSet::from([output]);
    let mut ahead = vec![output];
    while let Some(output) = ahead.pop() {
        if own.contains(&output) {
            return true;
        }
        let makers = records
            .iter()
            .filter(|record| record.outputs.iter().any(|it| it.item.digest == output));
        for input in makers.flat_map(|maker| &maker.inputs) {
            if seen.insert(input.output) {
                ahead.push(input.output);
            }
        }
    }
    false
}
