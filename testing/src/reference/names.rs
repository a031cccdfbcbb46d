//! Identifiers out of small numbers.

use grange_model::{AgentId, BlobId, BuildId, Digest, Item, ItemRecord, NarHash, SessionId};
use uuid::Uuid;

/// The name of a derivation or output, told by its first byte.
pub(super) fn item(kind: u8, number: u8, part: u8) -> Item {
    let mut digest = [0; 20];
    digest[..3].copy_from_slice(&[kind, number, part]);
    let kind = char::from(kind);
    Item {
        digest: Digest(digest),
        name: format!("{kind}{number}.{part}"),
    }
}

pub(super) fn build_id(number: u64) -> BuildId {
    BuildId(Uuid::from_u128(u128::from(number) + 1))
}

pub(super) fn agent_id(number: u8) -> AgentId {
    AgentId(Uuid::from_u128(u128::from(number) + 1))
}

pub(super) fn session_id(number: u64) -> SessionId {
    SessionId(Uuid::from_u128(u128::from(number) + 1))
}

/// What an agent sends of an output; `variant` tells two attempts' apart.
pub(super) fn item_record(item: &Item, variant: u64) -> ItemRecord {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&variant.to_le_bytes());
    ItemRecord {
        item: item.clone(),
        store: "/gnu/store".to_owned(),
        nar_hash: NarHash(hash),
        nar_size: 100,
        references: Vec::new(),
        deriver: None,
        blob: BlobId(hash),
        blob_size: 50,
    }
}
