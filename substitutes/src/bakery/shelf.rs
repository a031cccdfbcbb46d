//! What lies in the directory.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use grange_model::BlobId;

use super::oven::Loaf;
use crate::compression::NarCompression;

/// What a file is called that is not whole yet.
const PART: &str = "part";

/// Whole files, and how much room they take. It opens and deletes none of them, so that nobody who looks waits for a disk.
#[derive(Debug)]
pub(super) struct Shelf {
    directory: PathBuf,
    most_bytes: u64,
    bytes: u64,
    /// Size, and when it was last asked for, as a number that only grows.
    files: HashMap<Loaf, (u64, u64)>,
    /// The same the other way round: what was not asked for the longest comes first.
    by_use: BTreeMap<u64, Loaf>,
    uses: u64,
}

/// A file that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    used: u64,
}

impl Shelf {
    /// Makes the directory if it is not there, and drops what a former process has not finished.
    pub(super) fn open(directory: &Path, most_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if path.extension().is_some_and(|it| it == PART) {
                fs::remove_file(&path)?;
            } else if let Some(loaf) = loaf_named(&path) {
                let metadata = entry.metadata()?;
                found.push((metadata.modified()?, loaf, metadata.len()));
            }
        }
        found.sort_by_key(|(modified, ..)| *modified);
        let mut shelf = Self {
            directory: directory.to_owned(),
            most_bytes,
            bytes: 0,
            files: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        };
        for (_, loaf, size) in found {
            delete(&shelf.put(loaf, size));
        }
        Ok(shelf)
    }

    pub(super) fn path(&self, loaf: Loaf) -> PathBuf {
        self.directory
            .join(format!("{}.{}", loaf.blob, loaf.compression))
    }

    /// Where it is written: each time somewhere else, so that whoever comes too late spoils nothing.
    pub(super) fn part(&mut self, loaf: Loaf) -> PathBuf {
        self.uses += 1;
        let name = format!("{}.{}.{}.{PART}", loaf.blob, loaf.compression, self.uses);
        self.directory.join(name)
    }

    pub(super) fn size(&self, loaf: Loaf) -> Option<u64> {
        self.files.get(&loaf).map(|(size, _)| *size)
    }

    /// Where a file is, if it is here.
    pub(super) fn take(&mut self, loaf: Loaf) -> Option<Found> {
        let (size, used) = self.files.get_mut(&loaf)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(*used, loaf);
        let (size, used) = (*size, *used);
        let path = self.path(loaf);
        Some(Found { path, size, used })
    }

    /// Somebody has deleted it behind our back; unless it was taken or put again since it was found.
    pub(super) fn lost(&mut self, loaf: Loaf, found: &Found) {
        if self.files.get(&loaf) == Some(&(found.size, found.used)) {
            self.remove(loaf);
        }
    }

    /// Takes in a whole file, and returns the files that are to be deleted for it: by [`delete`], when nobody waits. If
    /// it is larger than all the room, that is itself alone.
    #[must_use]
    pub(super) fn put(&mut self, loaf: Loaf, size: u64) -> Vec<PathBuf> {
        self.remove(loaf);
        if size > self.most_bytes {
            return vec![self.path(loaf)];
        }
        self.uses += 1;
        self.bytes += size;
        self.files.insert(loaf, (size, self.uses));
        self.by_use.insert(self.uses, loaf);
        let mut gone = Vec::new();
        while self.bytes > self.most_bytes {
            let Some((_, &oldest)) = self.by_use.first_key_value() else {
                break;
            };
            self.remove(oldest);
            gone.push(self.path(oldest));
        }
        gone
    }

    fn remove(&mut self, loaf: Loaf) {
        if let Some((size, used)) = self.files.remove(&loaf) {
            self.by_use.remove(&used);
            self.bytes -= size;
        }
    }
}

/// Deletes files that are no longer on the shelf. Should one of them have been made anew meanwhile, it is missed later,
/// and made again.
pub(super) fn delete(files: &[PathBuf]) {
    for file in files {
        if let Err(error) = fs::remove_file(file) {
            tracing::warn!(%error, "a nar in the cache cannot be deleted");
        }
    }
}

/// The inverse of [`Shelf::path`].
fn loaf_named(path: &Path) -> Option<Loaf> {
    let (digits, compression) = path.file_name()?.to_str()?.split_once('.')?;
    let compression: NarCompression = compression.parse().ok()?;
    let mut id = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, digits) in id.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(Loaf {
        blob: BlobId(id),
        compression,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaf(number: u8) -> Loaf {
        Loaf {
            blob: BlobId([number; 32]),
            compression: NarCompression::Lzip,
        }
    }

    fn bake(shelf: &mut Shelf, number: u8, size: usize) {
        fs::write(shelf.path(loaf(number)), vec![0; size]).unwrap();
        delete(&shelf.put(loaf(number), size as u64));
    }

    #[test]
    fn what_was_not_asked_for_goes_first() {
        let directory = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(directory.path(), 100).unwrap();
        bake(&mut shelf, 1, 40);
        bake(&mut shelf, 2, 40);
        assert_eq!(shelf.take(loaf(1)).unwrap().size, 40);
        bake(&mut shelf, 3, 40);
        assert_eq!(
            [1, 2, 3].map(|it| shelf.size(loaf(it)).is_some()),
            [true, false, true]
        );
        assert!(!shelf.path(loaf(2)).exists());
        // One that is larger than all the room does not stay, and leaves the others where they are.
        for _ in 0..2 {
            bake(&mut shelf, 4, 101);
            assert_eq!((shelf.bytes, shelf.files.len()), (80, 2));
            assert!(!shelf.path(loaf(4)).exists());
        }
        // One that has grown so large is no longer here.
        bake(&mut shelf, 3, 101);
        assert_eq!((shelf.bytes, shelf.size(loaf(3))), (40, None));
        bake(&mut shelf, 4, 100);
        assert_eq!((shelf.bytes, shelf.files.len()), (100, 1));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_outlive_the_process_and_halves_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(directory.path(), 100).unwrap();
        bake(&mut shelf, 1, 40);
        let half = shelf.part(loaf(2));
        fs::write(&half, b"half").unwrap();
        fs::write(directory.path().join("README"), b"not ours").unwrap();
        let shelf = Shelf::open(directory.path(), 100).unwrap();
        assert_eq!((shelf.size(loaf(1)), shelf.bytes), (Some(40), 40));
        assert!(!half.exists());
    }

    #[test]
    fn what_is_lost_is_forgotten_unless_it_came_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(directory.path(), 100).unwrap();
        bake(&mut shelf, 1, 40);
        let found = shelf.take(loaf(1)).unwrap();
        bake(&mut shelf, 1, 40);
        shelf.lost(loaf(1), &found);
        assert_eq!((shelf.size(loaf(1)), shelf.bytes), (Some(40), 40));
        let found = shelf.take(loaf(1)).unwrap();
        shelf.lost(loaf(1), &found);
        assert_eq!((shelf.size(loaf(1)), shelf.bytes), (None, 0));
        assert!(shelf.take(loaf(1)).is_none() && shelf.by_use.is_empty());
    }

    #[test]
    fn parts_do_not_collide() {
        let directory = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(directory.path(), 100).unwrap();
        assert_ne!(shelf.part(loaf(1)), shelf.part(loaf(1)));
    }
}
