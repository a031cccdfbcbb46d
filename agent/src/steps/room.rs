//! Room for what a build needs and makes.

use std::sync::Arc;
use std::time::Duration;

use grange_derivation::StorePath;
use grange_interfaces::LocalStore;
use tracing::{info, warn};

use crate::shared::Shared;

/// How long to wait for attempts that are being prepared.
const PATIENCE: Duration = Duration::from_mins(1);

/// Collects garbage if less is free than there shall be. An attempt calls this when it has claimed its
/// inputs, before it looks which of them are here.
///
/// Counter-example for looking first: attempt A collects garbage, and knows what all attempts have
/// claimed. B claims its inputs and finds one here; A deletes it. So B waits until A is done. And A
/// waits for those that are being prepared: derivations that one of them brings are not claimed each.
///
/// Counter-example for collecting in the attempt's own task: the attempt is dropped while the store deletes on, and
/// whoever waited for it finds what goes next.
///
/// A store that is too full is no reason to refuse a build, nor is one that cannot be asked: the build
/// may need less, and says so if it does not. Nor is one in which others are being prepared for long, with inputs that
/// come slowly: whoever came after would have to wait as well.
pub(crate) async fn make_room(shared: &Shared) {
    let Some(least) = shared.config.min_free else {
        return;
    };
    let store = Arc::clone(&shared.store);
    if lacks(&*store, least).await.is_none() {
        return;
    }
    let collecting = tokio::select! {
        collecting = Arc::clone(&shared.collecting).write_owned() => collecting,
        () = shared.clock.sleep(PATIENCE) => {
            info!("garbage is collected later: inputs are being fetched");
            return;
        }
    };
    let claims = Arc::clone(&shared.claims);
    let delete = !shared.config.min_free_dry_run;
    let work = async move {
        // Another may have made room meanwhile.
        if let Some(wanted) = lacks(&*store, least).await {
            collect(&*store, wanted, &claims.all(), delete).await;
        }
        drop(collecting);
    };
    if let Err(error) = tokio::spawn(work).await {
        warn!(%error, "collecting garbage failed");
    }
}

async fn collect(store: &dyn LocalStore, wanted: u64, keep: &[StorePath], delete: bool) {
    match store.collect_garbage(wanted, keep, delete).await {
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
async fn lacks(store: &dyn LocalStore, least: u64) -> Option<u64> {
    match store.free_bytes().await {
        Ok(free) => least.checked_sub(free).filter(|missing| *missing > 0),
        Err(error) => {
            warn!(%error, "cannot find out how much room the store has");
            None
        }
    }
}
