//! An item that the coordinator offers.

use grange_derivation::{Hash, HashAlgo, StoreDir, StorePath};
use grange_interfaces::ItemInfo;
use grange_interfaces::message::ItemView;
use grange_model::NarHash;

/// An item that the coordinator offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) info: ItemInfo,
    /// Bytes of the compressed nar; none if the coordinator has it fetched from elsewhere and cannot know.
    pub(crate) file_size: Option<u64>,
    /// What the compressed bytes are told apart by.
    pub(crate) file_hash: String,
}

impl Wanted {
    /// Reads what the coordinator says of an item; else what is wrong with that.
    pub(crate) fn read(store: &StoreDir, view: &ItemView) -> Result<Self, String> {
        let path = |text: &str| StorePath::parse(store, text).map_err(|error| error.to_string());
        let nar_hash = Hash::parse(HashAlgo::Sha256, &view.nar_hash)
            .ok()
            .and_then(|hash| hash.to_sha256())
            .ok_or_else(|| format!("`{}` is no SHA-256 hash", view.nar_hash.escape_debug()))?;
        let mut references = view
            .references
            .iter()
            .map(|text| path(text))
            .collect::<Result<Vec<_>, _>>()?;
        references.sort();
        references.dedup();
        let info = ItemInfo {
            path: path(&view.path)?,
            nar_hash: NarHash(nar_hash),
            nar_size: view.nar_size,
            references,
            deriver: view.deriver.as_deref().map(path).transpose()?,
        };
        Ok(Self {
            info,
            file_size: file_size(view),
            file_hash: view.file_hash.clone(),
        })
    }
}

/// Bytes of the compressed nar, where that is known.
pub(super) fn file_size(view: &ItemView) -> Option<u64> {
    (!view.upstream).then_some(view.file_size)
}
