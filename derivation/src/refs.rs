//! Which store items a stream of bytes mentions.
//!
//! As Guix and Nix do, an item counts as mentioned where the 32 characters of its hash part appear, whatever is around
//! them.

use crate::base32;
use std::collections::BTreeSet;

/// The length of a hash part.
const LENGTH: usize = 32;
/// The most bytes at the end of a stream that more bytes can make a hash part of.
const TAIL: usize = LENGTH - 1;

/// Searches a stream for the hash parts of candidates.
///
/// Each window of 32 bytes is looked at from its end: a byte that is not of the base-32 alphabet rules out every
/// window that contains it, so in binary data few bytes are looked at, and no byte is looked at twice.
///
/// ```
/// use grange_derivation::{StorePath, refs::Scanner};
///
/// let hello = StorePath::parse_any("/gnu/store/2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv")?;
/// let mut scanner = Scanner::new([*hello.digest()]);
/// scanner.push(b"... /gnu/store/2nfg943asrl9dv64");
/// scanner.push(b"zrr1a4kpb25mfafd-hello ...");
/// assert!(scanner.found().contains(hello.digest()));
/// # Ok::<(), grange_derivation::StorePathError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scanner {
    /// The hash parts not found yet, sorted.
    wanted: Vec<([u8; LENGTH], [u8; 20])>,
    /// A bit for each three first digits that some hash part has.
    starts: Box<[u64; STARTS]>,
    found: BTreeSet<[u8; 20]>,
    /// The last bytes of what was pushed.
    tail: Vec<u8>,
}

/// Words of 64 bits for 15 bits.
const STARTS: usize = (1 << 15) / 64;

impl Scanner {
    /// A scanner for these digests.
    pub fn new(candidates: impl IntoIterator<Item = [u8; 20]>) -> Self {
        let mut wanted: Vec<_> = candidates
            .into_iter()
            .map(|digest| (base32::encode_digest(&digest), digest))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut starts = Box::new([0; STARTS]);
        for (text, _) in &wanted {
            let (word, bit) = start(text);
            starts[word] |= bit;
        }
        Self {
            wanted,
            starts,
            found: BTreeSet::new(),
            tail: Vec::new(),
        }
    }

    /// Takes in more bytes. Where the stream is cut into pieces does not matter.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.wanted.is_empty() {
            return;
        }
        // Windows that start in the tail; those that start in `bytes` follow.
        let mut seam = std::mem::take(&mut self.tail);
        seam.extend_from_slice(&bytes[..bytes.len().min(TAIL)]);
        self.scan(&seam);
        self.scan(bytes);
        let end = if bytes.len() < TAIL { &seam } else { bytes };
        self.tail = end[end.len().saturating_sub(TAIL)..].to_vec();
    }

    /// The digests found so far.
    #[must_use]
    pub const fn found(&self) -> &BTreeSet<[u8; 20]> {
        &self.found
    }

    /// The digests found.
    #[must_use]
    pub fn into_found(self) -> BTreeSet<[u8; 20]> {
        self.found
    }

    fn scan(&mut self, bytes: &[u8]) {
        // All bytes from `window` up to `known` are digits.
        let (mut window, mut known) = (0, 0);
        while window + LENGTH <= bytes.len() {
            match bytes[known..window + LENGTH]
                .iter()
                .rposition(|byte| !base32::is_digit(*byte))
            {
                Some(at) => {
                    let next = known + at + 1;
                    known = window + LENGTH;
                    window = next;
                }
                None => {
                    self.look_up(&bytes[window..window + LENGTH]);
                    known = window + LENGTH;
                    window += 1;
                }
            }
        }
    }

    fn look_up(&mut self, text: &[u8]) {
        let (word, bit) = start(text);
        if self.starts[word] & bit == 0 {
            return;
        }
        if let Ok(at) = self
            .wanted
            .binary_search_by(|(wanted, _)| wanted.as_slice().cmp(text))
        {
            let (_, digest) = self.wanted.remove(at);
            self.found.insert(digest);
        }
    }
}

impl std::io::Write for Scanner {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where the bit for three digits is.
fn start(text: &[u8]) -> (usize, u64) {
    let number = text.iter().take(3).fold(0, |number, byte| {
        number << 5 | usize::from(base32::digit(*byte))
    });
    (number / 64, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_three_digits_have_a_bit_of_their_own() {
        let digits = b"0123456789abcdfghijklmnpqrsvwxyz";
        let mut bits = [0; STARTS];
        for one in digits {
            for two in digits {
                for three in digits {
                    let (word, bit) = start(&[*one, *two, *three, b'0']);
                    assert_eq!(bits[word] & bit, 0, "{:?}", [one, two, three]);
                    bits[word] |= bit;
                }
            }
        }
        assert!(bits.iter().all(|word| *word == u64::MAX));
    }
}
