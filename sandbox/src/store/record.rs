//! What is kept of an item: one file of JSON.

use std::fs;
use std::io;
use std::path::Path;

use grange_derivation::{StoreDir, StorePath};
use grange_interfaces::ItemInfo;
use grange_model::NarHash;
use serde::{Deserialize, Serialize};

/// The form of the file. Another number means: made by another version.
const FORM: u32 = 1;

/// An item and the epoch in which it became valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub info: ItemInfo,
    pub epoch: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    form: u32,
    epoch: u64,
    /// `sha256:` and hexadecimal digits.
    nar_hash: String,
    nar_size: u64,
    /// Names without the store's directory.
    references: Vec<String>,
    deriver: Option<String>,
}

impl Record {
    /// Reads the record of the item of that name.
    pub(super) fn read(directory: &StoreDir, name: &[u8], file: &Path) -> io::Result<Self> {
        let file: File = serde_json::from_slice(&fs::read(file)?)?;
        if file.form != FORM {
            return Err(bad(format!("is of form {}, not {FORM}", file.form)));
        }
        let path = |name: &[u8]| StorePath::from_base_name(directory, name).map_err(bad);
        let hash = grange_derivation::Hash::parse_any(&file.nar_hash).map_err(bad)?;
        let mut references = file
            .references
            .iter()
            .map(|name| path(name.as_bytes()))
            .collect::<io::Result<Vec<_>>>()?;
        references.sort_unstable();
        let info = ItemInfo {
            path: path(name)?,
            nar_hash: NarHash(
                hash.to_sha256()
                    .ok_or_else(|| bad("has another hash than SHA-256"))?,
            ),
            nar_size: file.nar_size,
            references,
            deriver: file
                .deriver
                .as_ref()
                .map(|name| path(name.as_bytes()))
                .transpose()?,
        };
        Ok(Self {
            info,
            epoch: file.epoch,
        })
    }

    /// What is in the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let info = &self.info;
        let file = File {
            form: FORM,
            epoch: self.epoch,
            nar_hash: grange_derivation::Hash::from_sha256(info.nar_hash.0).to_string(),
            nar_size: info.nar_size,
            references: info.references.iter().map(StorePath::base_name).collect(),
            deriver: info.deriver.as_ref().map(StorePath::base_name),
        };
        let mut bytes =
            serde_json::to_vec(&file).expect("strings and numbers can be written as JSON");
        bytes.push(b'\n');
        bytes
    }
}

fn bad(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
