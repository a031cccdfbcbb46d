//! Derivations that nobody wrote.

use grange_model::{DerivationRecord, Digest, InputRef, Item, OutputRef};

use crate::dice::{Dice, mix};

/// A graph without cycles: some derivations with several outputs, some that make the same.
pub(super) fn draw(dice: &mut Dice, size: u64) -> Vec<DerivationRecord> {
    let mut graph: Vec<DerivationRecord> = Vec::new();
    // A few long chains, or wide and flat.
    let reach = dice.between(2, 30);
    for number in 0..size {
        let mut new = derivation(&format!("d{number}"));
        match dice.below(9) {
            0 => also(&mut new, "lib"),
            1 => {
                also(&mut new, "lib");
                also(&mut new, "doc");
            }
            2 => new.outputs = vec![output_ref("out", &format!("f{}", dice.below(1 + size / 6)))],
            3 => new.system = "i686-linux".to_owned(),
            4 => new.system = "builtin".to_owned(),
            5 => new.features.push("kvm".to_owned()),
            _ => {}
        }
        for _ in 0..dice.below(4) {
            let near = usize::try_from(reach).unwrap_or(usize::MAX);
            let from = graph.len().saturating_sub(near);
            let Some(input) = dice.pick(&graph[from..]) else {
                continue;
            };
            let Some(output) = dice.pick(&input.outputs) else {
                continue;
            };
            // An item that a build both needs and makes would be of no hash.
            if new.outputs.iter().all(|own| own.item != output.item) {
                new.inputs.push(InputRef {
                    derivation: input.item.digest,
                    output: output.item.digest,
                });
            }
        }
        new.inputs.sort();
        new.inputs.dedup();
        graph.push(new);
    }
    graph
}

fn also(derivation: &mut DerivationRecord, name: &str) {
    let item = format!("{}-{name}", derivation.item.name);
    derivation.outputs.push(output_ref(name, &item));
}

fn derivation(name: &str) -> DerivationRecord {
    DerivationRecord {
        item: item(name),
        store: "/gnu/store".to_owned(),
        system: "x86_64-linux".to_owned(),
        outputs: vec![output_ref("out", &format!("{name}-out"))],
        inputs: Vec::new(),
        sources: Vec::new(),
        hash: [0; 32],
        features: Vec::new(),
    }
}

fn output_ref(name: &str, item_name: &str) -> OutputRef {
    OutputRef {
        name: name.to_owned(),
        item: item(item_name),
    }
}

/// An item, known by a digest of its name.
fn item(name: &str) -> Item {
    let mut digest = [0; 20];
    let words = name
        .bytes()
        .fold(0, |word, byte| mix(word, u64::from(byte)));
    digest[..8].copy_from_slice(&words.to_be_bytes());
    let length = name.len().min(12);
    digest[8..8 + length].copy_from_slice(&name.as_bytes()[..length]);
    Item {
        digest: Digest(digest),
        name: name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn inputs_come_first_and_names_differ() {
        for seed in 0..50 {
            let graph = draw(&mut Dice::new(seed), 60);
            let mut known = BTreeSet::new();
            for derivation in &graph {
                assert!(
                    derivation
                        .inputs
                        .iter()
                        .all(|input| known.contains(&input.derivation))
                );
                assert!(known.insert(derivation.item.digest));
            }
        }
    }
}
