//! Names as they are written in a recording.

use grange_derivation::base32;
use grange_model::{AttemptId, Digest};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A derivation: the 32 digits that its store name begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DerivationName(pub Digest);

/// An attempt: `TERM.SLOT.GENERATION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptName(pub AttemptId);

impl Serialize for DerivationName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let digits = base32::encode_digest(&self.0.0);
        let digits: String = digits.into_iter().map(char::from).collect();
        to.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for DerivationName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digest = base32::decode_digest(text.as_bytes());
        let digest = digest
            .map_err(|error| D::Error::custom(format!("`{text}` names no derivation: {error}")))?;
        Ok(Self(Digest(digest)))
    }
}

impl Serialize for AttemptName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AttemptName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}
