//! What derivations have in common.

use std::hash::{Hash as _, Hasher};

use grange_model::{DerivationRecord, Item};

use crate::shared::Common;
use crate::tables::Derivation;

/// What most derivations have in common with others.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) store: String,
    pub(crate) system: String,
    pub(crate) features: Vec<String>,
    /// Names of outputs, such as `out`, in the order of its text.
    pub(crate) outputs: Vec<String>,
}

impl Common for Kind {
    type Source = DerivationRecord;

    fn of(record: &DerivationRecord) -> Self {
        let outputs = record.outputs.iter();
        Self {
            store: record.store.clone(),
            system: record.system.clone(),
            features: record.features.clone(),
            outputs: outputs.map(|output| output.name.clone()).collect(),
        }
    }

    fn is_of(&self, record: &DerivationRecord) -> bool {
        let outputs = record.outputs.iter().map(|output| &output.name);
        self.outputs.iter().eq(outputs)
            && self.system == record.system
            && self.features == record.features
            && self.store == record.store
    }

    fn hash_of(record: &DerivationRecord, state: &mut impl Hasher) {
        let outputs = record.outputs.iter().map(|output| &output.name);
        let common = [&record.store, &record.system];
        hash(common, &record.features, outputs, state);
    }

    fn hash(&self, state: &mut impl Hasher) {
        let common = [&self.store, &self.system];
        hash(common, &self.features, self.outputs.iter(), state);
    }
}

fn hash<'a>(
    common: [&String; 2],
    features: &[String],
    outputs: impl Iterator<Item = &'a String>,
    state: &mut impl Hasher,
) {
    common.hash(state);
    features.hash(state);
    outputs.for_each(|output| output.hash(state));
}

/// Whether the items of all outputs are called as Guix and Nix call them: after the derivation, and after the output if that is not
/// `out`.
fn is_usual(record: &DerivationRecord) -> bool {
    let mut outputs = record.outputs.iter();
    outputs.all(|output| is_called(&record.item.name, &output.name, &output.item.name))
}

fn is_called(derivation: &str, output: &str, item: &str) -> bool {
    let Some(name) = derivation.strip_suffix(".drv") else {
        return false;
    };
    match item.strip_prefix(name) {
        Some("") => output == "out",
        Some(rest) => output != "out" && rest.strip_prefix('-') == Some(output),
        None => false,
    }
}

/// The names of the items of outputs, where they are not called as usual; else nothing.
pub(crate) fn odd_names(record: &DerivationRecord) -> Box<[String]> {
    if is_usual(record) {
        return Box::default();
    }
    let names = record.outputs.iter().map(|output| output.item.name.clone());
    names.collect()
}

impl Derivation {
    /// Whether an output's item is called so.
    pub(crate) fn calls(&self, at: usize, item: &Item) -> bool {
        let odd = self.odd.as_ref();
        if let Some(name) = odd.and_then(|odd| odd.names.get(at)) {
            return *name == item.name;
        }
        let output = self.kind.outputs.get(at);
        output.is_some_and(|output| is_called(&self.item.name, output, &item.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_called_after_derivation_and_output() {
        assert!(is_called("hello-2.12.drv", "out", "hello-2.12"));
        assert!(is_called("hello-2.12.drv", "doc", "hello-2.12-doc"));
        for (derivation, output, item) in [
            ("hello", "out", "hello"),
            ("hello.drv", "out", "hello-out"),
            ("hello.drv", "doc", "hello"),
            ("hello.drv", "doc", "hellodoc"),
            ("hello.drv", "doc", "other-doc"),
        ] {
            assert!(!is_called(derivation, output, item), "{item}");
        }
    }
}
