//! What is available: here, or upstream.

use grange_derivation::StorePath;
use grange_interfaces::message::ItemView;
use grange_interfaces::{History, ItemInfo, Refusal, StoreError};
use grange_model::{Digest, Item, ItemRecord, Key, Record, UpstreamRecord};

use crate::convert::{item_view, store_dir, store_path, store_refusal, upstream_view};
use crate::shared::Shared;

/// An item that is available.
#[derive(Clone, Debug)]
pub(crate) enum Available {
    /// Its nar lies here, verified.
    Here(ItemRecord),
    /// An upstream substitute server has it.
    Upstream(UpstreamRecord),
}

impl Available {
    pub(crate) fn item(&self) -> &Item {
        match self {
            Self::Here(record) => &record.item,
            Self::Upstream(record) => &record.item,
        }
    }

    /// What it refers to, itself included where it does.
    pub(crate) fn references(&self) -> &[Item] {
        match self {
            Self::Here(record) => &record.references,
            Self::Upstream(record) => &record.references,
        }
    }

    /// In the words of the protocol.
    pub(crate) fn view(&self) -> ItemView {
        match self {
            Self::Here(record) => item_view(record),
            Self::Upstream(record) => upstream_view(record),
        }
    }
}

/// What is known of these items, in the order asked. What lies here goes before what is upstream.
pub(crate) async fn available(
    shared: &Shared,
    digests: &[Digest],
) -> Result<Vec<Option<Available>>, Refusal> {
    let keys: Vec<_> = digests.iter().copied().map(Key::Item).collect();
    let found = get(&*shared.datastore, &keys)
        .await
        .map_err(store_refusal)?;
    let available = |record: Option<Record>| match record? {
        Record::Item(record) => Some(Available::Here(record)),
        Record::Upstream(record) => Some(Available::Upstream(record)),
        _ => None,
    };
    Ok(found.into_iter().map(available).collect())
}

/// Reads records, in the order asked; for an item that does not lie here, that it is upstream.
pub(crate) async fn get(
    history: &(impl History + ?Sized),
    keys: &[Key],
) -> Result<Vec<Option<Record>>, StoreError> {
    let mut found = history.get(keys).await?;
    let absent = |(at, record): (usize, &Option<Record>)| match (&keys[at], record) {
        (Key::Item(digest), None) => Some((at, Key::Upstream(*digest))),
        _ => None,
    };
    let (places, keys): (Vec<_>, Vec<_>) = found.iter().enumerate().filter_map(absent).unzip();
    if !keys.is_empty() {
        let upstream = history.get(&keys).await?;
        for (place, record) in places.into_iter().zip(upstream) {
            found[place] = record;
        }
    }
    Ok(found)
}

/// What is known of an item upstream, as servers are asked for it.
pub(crate) fn info(record: &UpstreamRecord) -> Result<ItemInfo, Refusal> {
    let store = store_dir(&record.store)?;
    let path = |item: &Item| store_path(&store, item);
    let references = record.references.iter().map(path);
    Ok(ItemInfo {
        path: path(&record.item)?,
        nar_hash: record.nar_hash,
        nar_size: record.nar_size,
        references: references.collect::<Result<Vec<StorePath>, _>>()?,
        deriver: record.deriver.as_ref().map(path).transpose()?,
    })
}
