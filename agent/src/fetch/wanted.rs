//! An item to be fetched.

use grange_derivation::{Hash, HashAlgo, StoreDir, StorePath};
use grange_interfaces::ItemInfo;
use grange_interfaces::message::ItemView;
use grange_model::NarHash;

/// An item to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) info: ItemInfo,
    /// Substitute servers are to be asked first.
    pub(crate) upstream: bool,
    /// What the coordinator sends, if it can.
    pub(crate) file: Option<File>,
}

/// The compressed nar that the coordinator sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// How many bytes; none if the coordinator has it fetched from elsewhere and cannot know.
    pub(crate) size: Option<u64>,
    /// What its bytes are told apart by.
    pub(crate) hash: String,
}

impl From<&ItemView> for File {
    fn from(view: &ItemView) -> Self {
        Self {
            size: (!view.upstream).then_some(view.file_size),
            hash: view.file_hash.clone(),
        }
    }
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
            upstream: view.upstream,
            file: Some(File::from(view)),
        })
    }

    /// What only a substitute server has.
    pub(crate) const fn of_upstream(info: ItemInfo) -> Self {
        Self {
            info,
            upstream: true,
            file: None,
        }
    }
}
