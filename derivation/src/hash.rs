//! Hashes, their algorithms and their notations.

use crate::{base32, base64};
use sha2::Digest as _;
use std::fmt;

/// A hash algorithm that derivations name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HashAlgo {
    /// MD5: read and printed for the sake of old derivations, never computed ([`HashAlgo::hasher`] gives `None`).
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256, which everything else in the formats uses.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl HashAlgo {
    /// All algorithms.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The algorithm of that name (`md5`, `sha1`, `sha256`, `sha512`).
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algo| algo.name().as_bytes() == name)
    }

    /// The name in derivations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The size of its hashes in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// A hasher, or `None` for MD5, which is not computed here.
    #[must_use]
    pub fn hasher(self) -> Option<Hasher> {
        match self {
            Self::Md5 => None,
            Self::Sha1 => Some(Hasher(State::Sha1(sha1::Sha1::new()))),
            Self::Sha256 => Some(Hasher(State::Sha256(sha2::Sha256::new()))),
            Self::Sha512 => Some(Hasher(State::Sha512(sha2::Sha512::new()))),
        }
    }
}

impl fmt::Display for HashAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A hash being computed.
#[derive(Debug, Clone)]
pub struct Hasher(State);

#[derive(Debug, Clone)]
enum State {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The hash of all bytes taken in.
    #[must_use]
    pub fn finish(self) -> Hash {
        match self.0 {
            State::Sha1(state) => Hash::padded(HashAlgo::Sha1, &state.finalize()),
            State::Sha256(state) => Hash::padded(HashAlgo::Sha256, &state.finalize()),
            State::Sha512(state) => Hash::padded(HashAlgo::Sha512, &state.finalize()),
        }
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A hash and its algorithm. Displayed as `sha256:HEX`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash {
    algo: HashAlgo,
    /// Zero beyond `algo.size()`.
    bytes: [u8; 64],
}

/// Why a text or bytes are no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The length fits no notation of this algorithm.
    #[error("a {algo} hash cannot have {found} characters or bytes")]
    Length {
        /// The algorithm asked for.
        algo: HashAlgo,
        /// The length found.
        found: usize,
    },
    /// The text has the length of base 16 but other characters.
    #[error("is not base 16 in lower case")]
    Base16,
    /// The text has the length of base 32 but is none.
    #[error("is not base 32")]
    Base32(#[source] base32::Error),
    /// The text has the length of base 64 but is none.
    #[error("is not base 64 with padding")]
    Base64,
    /// The text names no known algorithm before `:` or `-`.
    #[error("does not start with the name of a known hash algorithm")]
    Algorithm,
}

impl Hash {
    /// A hash from its bytes.
    ///
    /// # Errors
    /// If `bytes` has not the algorithm's size.
    pub fn new(algo: HashAlgo, bytes: &[u8]) -> Result<Self, HashError> {
        if bytes.len() == algo.size() {
            Ok(Self::padded(algo, bytes))
        } else {
            Err(HashError::Length {
                algo,
                found: bytes.len(),
            })
        }
    }

    /// The SHA-256 of some bytes.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::from_sha256(sha2::Sha256::digest(bytes).into())
    }

    /// A SHA-256 hash from its bytes.
    #[must_use]
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self::padded(HashAlgo::Sha256, &bytes)
    }

    /// Reads base 16, base 32 or base 64, which their lengths tell apart.
    ///
    /// # Errors
    /// If the text is none of them for this algorithm; upper-case base 16 is refused.
    pub fn parse(algo: HashAlgo, text: &str) -> Result<Self, HashError> {
        let text = text.as_bytes();
        let size = algo.size();
        let bytes = if text.len() == 2 * size {
            base16(text).ok_or(HashError::Base16)?
        } else if text.len() == base32::encoded_len(size) {
            base32::decode(text, size).map_err(HashError::Base32)?
        } else if text.len() == base64::encoded_len(size) {
            base64::decode(text)
                .filter(|bytes| bytes.len() == size)
                .ok_or(HashError::Base64)?
        } else {
            return Err(HashError::Length {
                algo,
                found: text.len(),
            });
        };
        Self::new(algo, &bytes)
    }

    /// Reads `sha256:…` in any notation, or SRI: `sha256-` and base 64.
    ///
    /// # Errors
    /// If no known algorithm is named, or the rest is no hash of it.
    pub fn parse_any(text: &str) -> Result<Self, HashError> {
        let at = text.find([':', '-']).ok_or(HashError::Algorithm)?;
        let algo = HashAlgo::from_name(&text.as_bytes()[..at]).ok_or(HashError::Algorithm)?;
        let rest = &text[at + 1..];
        if text.as_bytes()[at] == b'-' && rest.len() != base64::encoded_len(algo.size()) {
            return Err(HashError::Base64);
        }
        Self::parse(algo, rest)
    }

    /// The algorithm.
    #[must_use]
    pub const fn algo(&self) -> HashAlgo {
        self.algo
    }

    /// The bytes, `algo().size()` of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algo.size()]
    }

    /// The 32 bytes, if this is a SHA-256 hash.
    #[must_use]
    pub fn to_sha256(&self) -> Option<[u8; 32]> {
        self.as_bytes().try_into().ok()
    }

    /// Lower-case hexadecimal.
    #[must_use]
    pub fn to_base16(&self) -> String {
        to_base16(self.as_bytes())
    }

    /// Nix's base 32.
    #[must_use]
    pub fn to_base32(&self) -> String {
        base32::encode(self.as_bytes())
    }

    /// SRI: the algorithm, `-`, base 64.
    #[must_use]
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algo, base64::encode(self.as_bytes()))
    }

    fn padded(algo: HashAlgo, bytes: &[u8]) -> Self {
        let mut padded = [0; 64];
        padded[..bytes.len()].copy_from_slice(bytes);
        Self {
            algo,
            bytes: padded,
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algo, self.to_base16())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Lower-case hexadecimal.
pub(crate) fn to_base16(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn base16(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    text.chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}
