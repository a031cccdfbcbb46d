//! What was upstream and is there no more.

use grange_coordinator_core::{Input, MAX_PRUNED};
use grange_interfaces::Refusal;
use grange_model::{DerivationRecord, Digest, UpstreamRecord};

use crate::available::{Available, available};
use crate::handle::Handle;
use crate::ingest::torn;
use crate::shared::Shared;

/// Forgets that these are upstream, so that they are built when somebody needs them; unless one of them is here, or known
/// otherwise, meanwhile.
///
/// Counter-example for not looking again: two agents fetch an item. One hears that it is gone, and it is built; then the
/// other's request ends.
pub(super) async fn gone(
    shared: &Shared,
    handle: &Handle,
    items: &[&UpstreamRecord],
) -> Result<(), Refusal> {
    let digests: Vec<_> = items.iter().map(|item| item.item.digest).collect();
    let now = available(shared, &digests).await?;
    let is_same = |(item, now): (&&UpstreamRecord, Option<Available>)| match now {
        Some(Available::Upstream(now)) if now == **item => Some(now.item.digest),
        _ => None,
    };
    let outputs: Vec<_> = items.iter().zip(now).filter_map(is_same).collect();
    for outputs in outputs.chunks(MAX_PRUNED) {
        let outputs = outputs.to_vec();
        let input = move |ticket| Input::GoneUpstream { ticket, outputs };
        handle.request(input).await?;
    }
    Ok(())
}

/// An agent misses something for a build of this derivation: forgets inputs of which others have not all that they refer
/// to any more. Gives those that it forgot.
///
/// Counter-example for leaving them: an input refers to a library that is gone upstream. The library is no input, so that
/// nobody would build it; and the input, as long as it counts as available, would not be built either.
pub(crate) async fn forget_torn(
    shared: &Shared,
    handle: &Handle,
    record: &DerivationRecord,
) -> Result<Vec<Digest>, Refusal> {
    let inputs: Vec<_> = record.inputs.iter().map(|input| input.output).collect();
    let found = available(shared, &inputs).await?;
    let upstream = inputs
        .into_iter()
        .zip(found)
        .filter_map(|(input, found)| match found {
            Some(Available::Upstream(item)) => Some((input, item)),
            _ => None,
        });
    let (digests, mut items): (Vec<_>, Vec<_>) = upstream.unzip();
    let torn = torn(shared, &digests).await?;
    items.retain(|item| torn.contains(&item.item.digest));
    gone(shared, handle, &items.iter().collect::<Vec<_>>()).await?;
    Ok(items.into_iter().map(|item| item.item.digest).collect())
}
