//! Room for what a build needs and makes.

use tracing::{info, warn};

use crate::shared::Shared;

/// Collects garbage if less is free than there shall be. An attempt calls this when it has claimed its
/// inputs, before it looks which of them are here.
///
/// Counter-example for looking first: attempt A collects garbage, and knows what all attempts have
/// claimed. B claims its inputs and finds one here; A deletes it. So B waits until A is done. And A
/// waits for those that are being prepared: derivations that one of them brings are not claimed each.
///
/// A store that is too full is no reason to refuse a build, nor is one that cannot be asked: the build
/// may need less, and says so if it does not.
pub(crate) async fn make_room(shared: &Shared) {
    let Some(least) = shared.config.min_free else {
        return;
    };
    if lacks(shared, least).await.is_none() {
        return;
    }
    let _collecting = shared.collecting.write().await;
    // Another may have made room meanwhile.
    let Some(wanted) = lacks(shared, least).await else {
        return;
    };
    let delete = !shared.config.min_free_dry_run;
    let keep = shared.claims.all();
    match shared.store.collect_garbage(wanted, &keep, delete).await {
        Ok(freed) if !delete => info!(
            wanted,
            items = freed.items,
            bytes = freed.bytes,
            "would have collected garbage"
        ),
        Ok(freed) => {
            let (items, bytes) = (freed.items, freed.bytes);
            info!(wanted, items, bytes, "collected garbage");
            if bytes < wanted {
                warn!(
                    missing = wanted - bytes,
                    "the store is fuller than it shall be, and nothing else in it may go"
                );
            }
        }
        Err(error) => warn!(%error, "garbage cannot be collected"),
    }
}

/// How many bytes are missing, if there are too few.
async fn lacks(shared: &Shared, least: u64) -> Option<u64> {
    match shared.store.free_bytes().await {
        Ok(free) => least.checked_sub(free).filter(|missing| *missing > 0),
        Err(error) => {
            warn!(%error, "cannot find out how much room the store has");
            None
        }
    }
}
