//! What is kept of outputs, sources and logs.

use std::sync::Arc;

use grange_interfaces::message::{Held, HeldView};
use grange_interfaces::{FinishedFilter, Refusal};

use super::sweep::{size, sweep};
use crate::convert::store_refusal;
use crate::handle::Handle;
use crate::shared::Shared;

/// How many records are read at once.
const PAGE: usize = 1_000;

/// Counts what is kept. What lies here under one hash is counted as often as it is named.
pub(crate) async fn held(shared: &Arc<Shared>, handle: &Handle) -> Result<HeldView, Refusal> {
    let swept = sweep(shared, handle, false).await?;
    let mut view = HeldView {
        unreferenced: Held {
            count: swept.unreferenced,
            bytes: swept.bytes,
        },
        ..HeldView::default()
    };
    let mut after = None;
    loop {
        let page = shared.datastore.items(after, PAGE).await;
        let page = page.map_err(store_refusal)?;
        for item in &page.entries {
            let kind = match item.deriver {
                Some(_) => &mut view.outputs,
                None => &mut view.sources,
            };
            kind.add(item.blob_size);
        }
        after = page.entries.last().map(|item| item.item.digest);
        if !page.more {
            break;
        }
    }
    let (filter, mut after) = (FinishedFilter::default(), None);
    loop {
        let page = shared.datastore.finished(&filter, after, PAGE).await;
        let page = page.map_err(store_refusal)?;
        let attempts = page.entries.iter().flat_map(|build| &build.attempts);
        for log in attempts.filter_map(|attempt| attempt.log) {
            view.logs.add(size(shared, log).await?);
        }
        after = page.entries.last().map(|build| build.build.spec.id);
        if !page.more {
            return Ok(view);
        }
    }
}
