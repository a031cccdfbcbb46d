//! Between the words of the protocol, of the formats and of the records.

use std::time::Duration;

use grange_derivation::{StoreDir, StorePath};
use grange_interfaces::message::ItemView;
use grange_interfaces::{ArtifactError, Fault, Refusal, StoreError};
use grange_model::{BlobId, Digest, Item, ItemRecord, NarHash, UpstreamRecord};

use crate::config::CoordinatorConfig;

/// A store path of one of the served directories.
pub(crate) fn parse_path(config: &CoordinatorConfig, path: &str) -> Result<StorePath, Refusal> {
    let parsed = StorePath::parse_any(path).map_err(|error| {
        Refusal::new(Fault::Caller, format!("{path:?} is no store path: {error}"))
    })?;
    if config.store_dirs.contains(parsed.store()) {
        return Ok(parsed);
    }
    let served: Vec<_> = config.store_dirs.iter().map(StoreDir::as_str).collect();
    Err(Refusal::new(
        Fault::Caller,
        format!(
            "{path} is not in a store that this farm serves ({})",
            served.join(", ")
        ),
    ))
}

pub(crate) fn digest(path: &StorePath) -> Digest {
    Digest(*path.digest())
}

pub(crate) fn item(path: &StorePath) -> Item {
    Item {
        digest: digest(path),
        name: path.name().to_owned(),
    }
}

/// The path of an item, as text. Records are made from parsed paths only, so that the text is one.
pub(crate) fn path_text(store: &str, item: &Item) -> String {
    let hash = grange_derivation::base32::encode_digest(&item.digest.0);
    let hash = hash.into_iter().map(char::from).collect::<String>();
    format!("{store}/{hash}-{}", item.name)
}

/// The path of an item, as a value.
pub(crate) fn store_path(store: &StoreDir, item: &Item) -> Result<StorePath, Refusal> {
    StorePath::new(store, item.digest.0, &item.name)
        .map_err(|error| Refusal::new(Fault::Us, format!("a record names no store item: {error}")))
}

pub(crate) fn store_dir(text: &str) -> Result<StoreDir, Refusal> {
    StoreDir::new(text)
        .map_err(|error| Refusal::new(Fault::Us, format!("a record names no store: {error}")))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The 32 bytes of a SHA-256 in base16.
pub(crate) fn parse_sha256(what: &str, text: &str) -> Result<[u8; 32], Refusal> {
    let digit = |at: usize| {
        let digit = text.as_bytes().get(at).copied()?;
        digit
            .is_ascii_digit()
            .then(|| digit - b'0')
            .or_else(|| (b'a'..=b'f').contains(&digit).then(|| digit - b'a' + 10))
    };
    let bytes = (0..32).map(|at| Some(digit(2 * at)? << 4 | digit(2 * at + 1)?));
    let bytes: Option<Vec<u8>> = bytes.collect();
    let bytes = bytes
        .filter(|_| text.len() == 64)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        Refusal::new(
            Fault::Caller,
            format!("{what} is not a SHA-256 in lower-case base16"),
        )
    })
}

pub(crate) fn item_view(record: &ItemRecord) -> ItemView {
    let path = |item: &Item| path_text(&record.store, item);
    ItemView {
        path: path(&record.item),
        nar_hash: hex(&record.nar_hash.0),
        nar_size: record.nar_size,
        references: record.references.iter().map(path).collect(),
        deriver: record.deriver.as_ref().map(path),
        file_size: record.blob_size,
        file_hash: record.blob.to_string(),
        upstream: false,
    }
}

pub(crate) fn upstream_view(record: &UpstreamRecord) -> ItemView {
    let path = |item: &Item| path_text(&record.store, item);
    ItemView {
        path: path(&record.item),
        nar_hash: hex(&record.nar_hash.0),
        nar_size: record.nar_size,
        references: record.references.iter().map(path).collect(),
        deriver: record.deriver.as_ref().map(path),
        file_size: record.nar_size,
        file_hash: hex(&record.nar_hash.0),
        upstream: true,
    }
}

pub(crate) fn nar_hash(bytes: [u8; 32]) -> NarHash {
    NarHash(bytes)
}

pub(crate) fn blob(bytes: [u8; 32]) -> BlobId {
    BlobId(bytes)
}

/// A Datastore's failure in the words of the protocol.
pub(crate) fn store_refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Unavailable(why) => Refusal::busy(
            format!("the datastore is not available: {why}"),
            Duration::from_secs(1),
        ),
        error => Refusal::new(Fault::Operator, error.to_string()),
    }
}

/// An artifact store's failure in the words of the protocol.
pub(crate) fn artifact_refusal(error: ArtifactError) -> Refusal {
    let message = with_sources(&error);
    match error {
        ArtifactError::NotFound(_) => Refusal::new(Fault::NotFound, message),
        ArtifactError::WrongOffset { .. } => Refusal::new(Fault::Conflict, message),
        ArtifactError::WrongHash { .. } => Refusal::new(Fault::Peer, message),
        ArtifactError::Full => {
            Refusal::busy("the coordinator's disk is full", Duration::from_secs(30))
        }
        ArtifactError::Body(_) => Refusal::new(Fault::Caller, message),
        _ => Refusal::new(Fault::Operator, message),
    }
}

/// An error with its causes on one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
