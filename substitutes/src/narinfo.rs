//! From records to narinfos.

use grange_derivation::{StoreDir, StorePath};
use grange_model::{Item, ItemRecord};
use grange_signatures::narinfo::{Compression, Error, Facts, NarUrl, Narinfo, Source};

use crate::config::Cache;

/// The path of an item in a store; none if its name cannot be one, which no record of ours has.
pub(crate) fn path(store: &StoreDir, item: &Item) -> Option<StorePath> {
    StorePath::new(store, item.digest.0, &item.name).ok()
}

/// The narinfo of an item.
pub(crate) fn narinfo(cache: &Cache, record: &ItemRecord) -> Result<Narinfo, Error> {
    let store = cache.store();
    let named = |item: &Item| path(store, item).ok_or(Error::Unprintable("StorePath"));
    let own = named(&record.item)?;
    let url = NarUrl::of_names(["nar", "zstd", &own.base_name()])
        .expect("a base name has no slash and is short");
    let mut facts = Facts::new(own, record.nar_hash.0, record.nar_size);
    for reference in &record.references {
        facts.references.insert(named(reference)?);
    }
    facts.deriver = record.deriver.as_ref().map(named).transpose()?;
    let mut source = Source::new(url, Compression::Zstd);
    source.file_size = Some(record.blob_size);
    match cache {
        Cache::Guix { key, .. } => {
            let key = key.as_ref().map(|key| (&key.key, &*key.host));
            Narinfo::guix(facts, vec![source], key)
        }
        Cache::Nix { keys, .. } => {
            source.file_hash = Some(grange_derivation::Hash::from_sha256(record.blob.0));
            Narinfo::nix(facts, source, &keys.iter().collect::<Vec<_>>())
        }
    }
}
