//! The coordinator's disk for uploads and blobs, and what is in a file.

use std::collections::BTreeMap;

use grange_model::{AttemptId, BlobId, Digest, NarHash};

use crate::dice::{Dice, mix};

/// The bytes of a file, a number for each piece that is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content(pub(crate) Vec<u64>);

impl Content {
    /// What an attempt makes of an output: no two attempts make the same. It refers to these items.
    pub(crate) fn made(
        attempt: AttemptId,
        output: usize,
        pieces: u64,
        refers: impl IntoIterator<Item = Digest>,
    ) -> Self {
        let place = mix(
            attempt.term.0,
            u64::from(attempt.slot) << 32 | u64::from(attempt.generation),
        );
        let seed = mix(place, output as u64);
        let own = (0..pieces).map(|piece| mix(seed, piece));
        Self(own.chain(refers.into_iter().map(word)).collect())
    }

    /// What is known by its content: whoever makes it makes the same.
    pub(crate) fn fixed(output: Digest) -> Self {
        let word = word(output);
        Self(vec![word, mix(word, 1)])
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        100 * self.0.len() as u64
    }

    /// Which of the items it refers to.
    pub(crate) fn references(&self, candidates: impl Iterator<Item = Digest>) -> Vec<Digest> {
        candidates
            .filter(|item| self.0.contains(&word(*item)))
            .collect()
    }

    fn hash(&self) -> [u8; 32] {
        let hash = self
            .0
            .iter()
            .fold(0x6772_616e_6765, |hash, piece| mix(hash, *piece));
        let mut bytes = [0; 32];
        for (at, chunk) in bytes.chunks_mut(8).enumerate() {
            chunk.copy_from_slice(&mix(hash, at as u64).to_be_bytes());
        }
        bytes
    }

    pub(crate) fn nar_hash(&self) -> NarHash {
        NarHash(self.hash())
    }

    pub(crate) fn blob(&self) -> BlobId {
        BlobId(self.hash())
    }
}

/// What stands in a file that refers to the item.
fn word(item: Digest) -> u64 {
    let bytes = item.0.iter();
    bytes.fold(7, |word, byte| mix(word, u64::from(*byte)))
}

/// Which file is on its way: the output of an attempt.
pub(crate) type Upload = (AttemptId, usize);

/// An artifact store as its contract says, and no stricter.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    uploads: BTreeMap<Upload, Content>,
    blobs: BTreeMap<BlobId, Content>,
}

impl Disk {
    pub(crate) fn offset(&self, upload: Upload) -> usize {
        self.uploads
            .get(&upload)
            .map_or(0, |content| content.0.len())
    }

    /// Adds to an upload; how long it is now. What does not begin where it ends is not added.
    pub(crate) fn append(&mut self, upload: Upload, offset: usize, pieces: &[u64]) -> usize {
        let content = self.uploads.entry(upload).or_default();
        if content.0.len() == offset {
            content.0.extend(pieces);
        }
        content.0.len()
    }

    pub(crate) fn upload(&self, upload: Upload) -> Option<&Content> {
        self.uploads.get(&upload)
    }

    pub(crate) fn blob(&self, blob: BlobId) -> Option<&Content> {
        self.blobs.get(&blob)
    }

    /// Makes an upload, durably, the blob of its hash.
    pub(crate) fn seal(&mut self, upload: Upload) -> Option<BlobId> {
        let content = self.uploads.remove(&upload)?;
        let blob = content.blob();
        self.blobs.insert(blob, content);
        Some(blob)
    }

    /// Puts a blob there at once.
    pub(crate) fn put(&mut self, content: Content) -> BlobId {
        let blob = content.blob();
        self.blobs.insert(blob, content);
        blob
    }

    pub(crate) fn discard(&mut self, upload: Upload) {
        self.uploads.remove(&upload);
    }

    /// The machine went down: uploads were not synced, and end anywhere. Blobs were.
    pub(crate) fn crash(&mut self, dice: &mut Dice) {
        for content in self.uploads.values_mut() {
            let kept = dice.below(content.0.len() as u64 + 1);
            content.0.truncate(usize::try_from(kept).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use grange_model::Term;

    use super::*;

    fn attempt(slot: u32) -> AttemptId {
        AttemptId {
            term: Term(1),
            slot,
            generation: 0,
        }
    }

    #[test]
    fn contents_differ_and_have_one_hash() {
        let made = |slot, output| Content::made(attempt(slot), output, 3, [Digest([5; 20])]);
        let content = made(1, 0);
        assert_eq!(content, made(1, 0));
        assert_ne!(content.blob(), made(1, 1).blob());
        assert_ne!(content.blob(), made(2, 0).blob());
        let candidates = [Digest([4; 20]), Digest([5; 20])];
        assert_eq!(content.references(candidates.into_iter()), candidates[1..]);
        let shorter = Content(content.0[..2].to_vec());
        assert_ne!(content.blob(), shorter.blob());
    }

    #[test]
    fn an_upload_is_added_to_where_it_ends_and_sealed_under_its_hash() {
        let mut disk = Disk::default();
        let upload = (attempt(1), 0);
        assert_eq!(disk.append(upload, 0, &[1, 2]), 2);
        assert_eq!(disk.append(upload, 1, &[9]), 2);
        assert_eq!(disk.append(upload, 2, &[3]), 3);
        let blob = disk.seal(upload).unwrap();
        assert_eq!(disk.blob(blob), Some(&Content(vec![1, 2, 3])));
        assert_eq!(blob, Content(vec![1, 2, 3]).blob());
        assert_eq!(disk.offset(upload), 0);
    }

    #[test]
    fn a_crash_cuts_uploads_and_no_blobs() {
        let mut disk = Disk::default();
        let blob = disk.put(Content(vec![7]));
        let mut shorter = false;
        for slot in 0..20 {
            disk.append((attempt(slot), 0), 0, &[1, 2, 3]);
        }
        disk.crash(&mut Dice::new(1));
        for slot in 0..20 {
            shorter |= disk.offset((attempt(slot), 0)) < 3;
        }
        assert!(shorter);
        assert!(disk.blob(blob).is_some());
    }
}
