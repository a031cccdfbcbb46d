//! Closures of what is available.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use grange_derivation::graph::{self, GraphError};
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
    let mut walked = Walked::from(shared, &roots).await?;
    let order = graph::references_first(roots.into_iter().map(Named), walked.references());
    let order = order.map_err(circle)?;
    let items = order
        .into_iter()
        .filter_map(|named| walked.found.remove(&named.0))
        .collect();
    Ok(Closure {
        items,
        missing: walked.missing.into_iter().collect(),
    })
}

/// Those of some items of which something that they refer to is not available, directly or not.
pub(crate) async fn torn(shared: &Shared, roots: &[Digest]) -> Result<BTreeSet<Digest>, Refusal> {
    let walked = Walked::from(shared, roots).await?;
    let named = roots.iter().copied().map(Named);
    let lacks = |named: &Named| walked.missing.contains(&named.0);
    let whole = graph::whole(named, walked.references(), lacks).map_err(circle)?;
    let mut torn: BTreeSet<_> = roots.iter().copied().collect();
    for named in whole {
        torn.remove(&named.0);
    }
    Ok(torn)
}

/// All that some items refer to.
#[derive(Debug, Default)]
struct Walked {
    found: BTreeMap<Digest, Available>,
    missing: BTreeSet<Digest>,
}

impl Walked {
    async fn from(shared: &Shared, roots: &[Digest]) -> Result<Self, Refusal> {
        let mut walked = Self::default();
        let mut next: BTreeSet<Digest> = roots.iter().copied().collect();
        while !next.is_empty() {
            let asked: Vec<_> = next.iter().copied().collect();
            let items = available(shared, &asked).await?;
            let mut referenced = BTreeSet::new();
            for (digest, item) in asked.into_iter().zip(items) {
                match item {
                    Some(item) => {
                        referenced.extend(item.references().iter().map(|item| item.digest));
                        walked.found.insert(digest, item);
                    }
                    None => {
                        walked.missing.insert(digest);
                    }
                }
            }
            next = referenced;
            next.retain(|digest| {
                !walked.found.contains_key(digest) && !walked.missing.contains(digest)
            });
        }
        Ok(walked)
    }

    fn references(&self) -> impl Fn(&Named) -> Option<Vec<Named>> + '_ {
        |named| {
            let references = self.found.get(&named.0)?.references().iter();
            Some(references.map(|item| Named(item.digest)).collect())
        }
    }
}

fn circle(error: GraphError<Named, Infallible>) -> Refusal {
    Refusal::new(Fault::Us, error.to_string())
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
