//! From records to narinfos.

use grange_derivation::{Hash, StoreDir, StorePath};
use grange_model::{Item, ItemRecord};
use grange_signatures::narinfo::{Error, Facts, NarUrl, Narinfo, Source};

use crate::compression::NarCompression;
use crate::config::Cache;

/// The path of an item in a store; none if its name cannot be one, which no record of ours has.
pub(crate) fn path(store: &StoreDir, item: &Item) -> Option<StorePath> {
    StorePath::new(store, item.digest.0, &item.name).ok()
}

/// The narinfo of an item, whose nar can be had in these compressions, of so many bytes where that is known.
pub(crate) fn narinfo(
    cache: &Cache,
    record: &ItemRecord,
    files: &[(NarCompression, Option<u64>)],
) -> Result<Narinfo, Error> {
    let store = cache.store();
    let named = |item: &Item| path(store, item).ok_or(Error::Unprintable("StorePath"));
    let own = named(&record.item)?;
    let base_name = own.base_name();
    let mut facts = Facts::new(own, record.nar_hash.0, record.nar_size);
    for reference in &record.references {
        facts.references.insert(named(reference)?);
    }
    facts.deriver = record.deriver.as_ref().map(named).transpose()?;
    let source = |(compression, size): &(NarCompression, Option<u64>)| {
        let url = NarUrl::of_names(["nar", compression.name(), &base_name])
            .expect("a base name has no slash and is short");
        let mut source = Source::new(url, compression.of_narinfos());
        source.file_size = *size;
        source
    };
    let mut sources: Vec<_> = files.iter().map(source).collect();
    match cache {
        Cache::Guix { key, .. } => {
            let key = key.as_ref().map(|key| (&key.key, &*key.host));
            Narinfo::guix(facts, sources, key)
        }
        Cache::Nix { keys, .. } => {
            // A Nix client knows one.
            sources.truncate(1);
            let mut source = sources.pop().ok_or(Error::Missing("URL"))?;
            source.file_hash = match files.first() {
                Some((NarCompression::Zstd, _)) => Some(Hash::from_sha256(record.blob.0)),
                Some((NarCompression::None, _)) => Some(Hash::from_sha256(record.nar_hash.0)),
                _ => None,
            };
            Narinfo::nix(facts, source, &keys.iter().collect::<Vec<_>>())
        }
    }
}
