//! What lies in the directory.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use grange_model::BlobId;

use super::oven::Loaf;
use crate::compression::NarCompression;

/// What a file is called that is not whole yet.
const PART: &str = "part";

/// Whole files, and how much room they take.
#[derive(Debug)]
pub(super) struct Shelf {
    directory: PathBuf,
    most_bytes: u64,
    bytes: u64,
    /// Size, and when it was last asked for, as a number that only grows.
    files: HashMap<Loaf, (u64, u64)>,
    uses: u64,
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

    /// Where it is written.
    pub(super) fn part(&self, loaf: Loaf) -> PathBuf {
        self.directory
            .join(format!("{}.{}.{PART}", loaf.blob, loaf.compression))
    }

    pub(super) fn size(&self, loaf: Loaf) -> Option<u64> {
        self.files.get(&loaf).map(|(size, _)| *size)
    }

    /// Opens a file, if it is here; who deletes one behind our back is noticed.
    pub(super) fn take(&mut self, loaf: Loaf) -> io::Result<Option<(File, u64)>> {
        let path = self.path(loaf);
        self.uses += 1;
        let Some((size, used)) = self.files.get_mut(&loaf) else {
            return Ok(None);
        };
        *used = self.uses;
        match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.bytes -= *size;
                self.files.remove(&loaf);
                Ok(None)
            }
            opened => Ok(Some((opened?, *size))),
        }
    }

    /// Takes in a whole file, and returns the files that are to be deleted for it: by [`delete`], when nobody waits. If
    /// it is larger than all the room, that is itself alone.
    #[must_use]
    pub(super) fn put(&mut self, loaf: Loaf, size: u64) -> Vec<PathBuf> {
        self.uses += 1;
        if let Some((before, _)) = self.files.remove(&loaf) {
            self.bytes -= before;
        }
        if size > self.most_bytes {
            return vec![self.path(loaf)];
        }
        self.bytes += size;
        self.files.insert(loaf, (size, self.uses));
        let mut gone = Vec::new();
        while self.bytes > self.most_bytes {
            let oldest = self.files.iter().min_by_key(|(_, (_, used))| *used);
            let Some((&oldest, &(size, _))) = oldest else {
                break;
            };
            self.files.remove(&oldest);
            self.bytes -= size;
            gone.push(self.path(oldest));
        }
        gone
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
        assert_eq!(shelf.take(loaf(1)).unwrap().unwrap().1, 40);
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
        fs::write(shelf.part(loaf(2)), b"half").unwrap();
        fs::write(directory.path().join("README"), b"not ours").unwrap();
        let mut shelf = Shelf::open(directory.path(), 100).unwrap();
        assert_eq!((shelf.size(loaf(1)), shelf.bytes), (Some(40), 40));
        assert!(!shelf.part(loaf(2)).exists());
        fs::remove_file(shelf.path(loaf(1))).unwrap();
        assert!(shelf.take(loaf(1)).unwrap().is_none());
        assert_eq!((shelf.size(loaf(1)), shelf.bytes), (None, 0));
    }
}
