//! What is in a nar.

use super::{Decoder, Error, Event};
use std::io::{self, Read};

/// One file, symbolic link or directory in a nar.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its path from the root, without leading `/`; empty for the root itself.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is. Exhaustive, as [`Event`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file.
    Regular {
        /// Whether it is executable.
        executable: bool,
        /// How many bytes it has.
        size: u64,
        /// Where in the nar its bytes start.
        offset: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to.
        target: Vec<u8>,
    },
}

/// Why a nar cannot be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The reader failed.
    #[error("the nar cannot be read")]
    Read(#[source] io::Error),
    /// It is not a nar.
    #[error(transparent)]
    Nar(#[from] Error),
}

/// Reads a nar to its end and lists what is in it, in the nar's order, the root first. Contents are skipped; the list
/// takes memory for each entry.
///
/// # Errors
/// If the reader fails, or what it gives is not one whole nar.
pub fn list(source: &mut impl Read) -> Result<Vec<Entry>, ListError> {
    let mut decoder = Decoder::new();
    let mut entries = Vec::new();
    let mut path = Vec::new();
    // Where in `path` the names of open entries start.
    let mut starts = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ListError::Read(error)),
        };
        if count == 0 {
            decoder.finish()?;
            return Ok(entries);
        }
        let before = decoder.offset();
        let mut input = &buffer[..count];
        while let Some(event) = decoder.decode(&mut input)? {
            let offset = before + (count - input.len()) as u64;
            let kind = match event {
                Event::StartDirectory => Kind::Directory,
                Event::Regular { executable, size } => Kind::Regular {
                    executable,
                    size,
                    offset,
                },
                Event::Symlink(target) => Kind::Symlink {
                    target: target.to_vec(),
                },
                Event::Entry(name) => {
                    starts.push(path.len());
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                    continue;
                }
                Event::EndDirectory | Event::EndRegular => {
                    path.truncate(starts.pop().unwrap_or(0));
                    continue;
                }
                Event::Data(_) => continue,
            };
            let ends_here = matches!(kind, Kind::Symlink { .. });
            entries.push(Entry {
                path: path.clone(),
                kind,
            });
            if ends_here {
                path.truncate(starts.pop().unwrap_or(0));
            }
        }
    }
}
