//! How records and facts become bytes.
//!
//! One version byte, then [postcard](https://postcard.jamesmunns.com/wire-format): fields in the
//! order in which they are declared, integers as variable-length numbers, an enum by its position.
//! So fields and variants are only ever added behind the last one, together with a new version;
//! `testdata/golden` holds what each version looks like.

mod older;

use serde::Serialize;
use serde::de::DeserializeOwned;

use older::Older;

/// The version that [`encode`] writes. 2: items upstream, and that items were pruned. 3: resources, what attempts and packages used, and
/// why they were given to whom.
const VERSION: u8 = 3;
/// The oldest version that [`decode`] reads. What came since stands behind what was there.
const OLDEST: u8 = 1;
/// The first version in which all fields are there.
const COMPLETE: u8 = 3;

/// Bytes are no record or fact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// There is not even a version.
    #[error("the record is empty")]
    Empty,
    /// Written by a newer Grange.
    #[error("the record has version {0}, and this Grange reads up to {VERSION}")]
    NewerVersion(u8),
    /// Not what the version says.
    #[error("the record is damaged: {0}")]
    Damaged(String),
    /// More than the record.
    #[error("{0} bytes follow the record")]
    Trailing(usize),
}

/// The bytes of a record, a fact or a list of them.
///
/// # Errors
///
/// None of this crate's own types fails to encode; another type may.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    postcard::to_extend(value, vec![VERSION])
        .map_err(|error| CodecError::Damaged(error.to_string()))
}

/// What [`encode`] made these bytes from.
///
/// # Errors
///
/// The bytes are of a newer version, damaged, or too many.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (version, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
    let mut deserializer = postcard::Deserializer::from_bytes(rest);
    let value = match *version {
        0 => return Err(CodecError::Damaged("there is no version 0".to_owned())),
        OLDEST..COMPLETE => T::deserialize(Older(&mut deserializer)),
        COMPLETE..=VERSION => T::deserialize(&mut deserializer),
        newer => return Err(CodecError::NewerVersion(newer)),
    };
    let damaged = |error: postcard::Error| CodecError::Damaged(error.to_string());
    let value = value.map_err(damaged)?;
    let rest = deserializer.finalize().map_err(damaged)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(CodecError::Trailing(rest.len()))
    }
}
