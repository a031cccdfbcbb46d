//! Closures of what is available.

use std::collections::{BTreeMap, BTreeSet};

use grange_derivation::graph::topological;
use grange_interfaces::{Fault, Refusal};
use grange_model::{DerivationRecord, Digest};

use crate::available::{Available, available};
use crate::shared::Shared;

/// Everything that some items refer to.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// References before those that refer to them.
    pub(crate) items: Vec<Available>,
    /// Roots that are not available.
    pub(crate) missing: Vec<Digest>,
}

/// What a build of this derivation may see: its inputs and sources and all that they refer to.
pub(crate) async fn closure_of_inputs(
    shared: &Shared,
    record: &DerivationRecord,
) -> Result<Closure, Refusal> {
    let inputs = record.inputs.iter().map(|input| input.output);
    let sources = record
        .sources
        .iter()
        .filter(|source| !source.name.ends_with(".drv"));
    closure_of_items(
        shared,
        inputs.chain(sources.map(|source| source.digest)).collect(),
    )
    .await
}

pub(crate) async fn closure_of_items(
    shared: &Shared,
    roots: Vec<Digest>,
) -> Result<Closure, Refusal> {
    let mut found: BTreeMap<Digest, Available> = BTreeMap::new();
    let mut missing = BTreeSet::new();
    let mut next: BTreeSet<Digest> = roots.iter().copied().collect();
    while !next.is_empty() {
        let asked: Vec<_> = next.iter().copied().collect();
        let items = available(shared, &asked).await?;
        let mut referenced = BTreeSet::new();
        for (digest, item) in asked.into_iter().zip(items) {
            match item {
                Some(item) => {
                    referenced.extend(item.references().iter().map(|item| item.digest));
                    found.insert(digest, item);
                }
                None => {
                    missing.insert(digest);
                }
            }
        }
        next = referenced;
        next.retain(|digest| !found.contains_key(digest) && !missing.contains(digest));
    }
    let order = topological(roots.into_iter().map(Named), |named: &Named| {
        let references = found
            .get(&named.0)
            .map(Available::references)
            .unwrap_or_default();
        let others = references
            .iter()
            .map(|item| item.digest)
            .filter(|digest| *digest != named.0);
        Ok::<_, std::convert::Infallible>(others.map(Named).collect::<Vec<_>>())
    });
    let order = order.map_err(|error| Refusal::new(Fault::Us, error.to_string()))?;
    let items = order
        .into_iter()
        .filter_map(|named| found.remove(&named.0))
        .collect();
    Ok(Closure {
        items,
        missing: missing.into_iter().collect(),
    })
}

/// A digest that can be named in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Named(Digest);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = grange_derivation::base32::encode_digest(&self.0.0);
        text.into_iter()
            .try_for_each(|byte| write!(f, "{}", char::from(byte)))
    }
}
