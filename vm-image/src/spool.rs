//! File contents, one after the other in one file, so that no tree is held in memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// A piece of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    offset: u64,
    pub(crate) size: u64,
}

/// A file that contents are appended to and read from.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    end: u64,
    /// Bytes that it may grow to.
    limit: u64,
}

impl Spool {
    pub(crate) fn new(path: &Path, limit: u64) -> io::Result<Self> {
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(path)?;
        Ok(Self {
            file,
            end: 0,
            limit,
        })
    }

    /// Takes in all of `source`. If that fails, nothing has been added.
    pub(crate) fn add(&mut self, source: &mut dyn Read) -> io::Result<Content> {
        self.file.seek(SeekFrom::Start(self.end))?;
        let room = self.limit - self.end;
        let size = io::copy(&mut source.take(room.saturating_add(1)), &mut self.file)?;
        if size > room {
            return Err(io::Error::other(format!(
                "unpacked, this takes more than {} bytes",
                self.limit
            )));
        }
        let offset = self.end;
        self.end += size;
        Ok(Content { offset, size })
    }

    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) -> io::Result<Content> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        let content = Content {
            offset: self.end,
            size: bytes.len() as u64,
        };
        self.end += content.size;
        Ok(content)
    }

    /// One content, to be read as a stream.
    pub(crate) fn open(&self, content: Content) -> io::Result<impl Read + use<'_>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(content.offset))?;
        Ok(BufReader::with_capacity(64 << 10, file.take(content.size)))
    }

    /// The SHA-256 of one content.
    pub(crate) fn digest(&self, content: Content) -> io::Result<[u8; 32]> {
        let mut hasher = Sha256::new();
        let mut reader = self.open(content)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(hasher.finalize().into()),
                count => hasher.update(&buffer[..count]),
            }
        }
    }

    /// One content, whole, if it has at most `most` bytes.
    pub(crate) fn read(&self, content: Content, most: u64) -> io::Result<Vec<u8>> {
        if content.size > most {
            return Err(io::Error::other(format!(
                "{} bytes are more than the {most} that it may have",
                content.size
            )));
        }
        let mut bytes = Vec::new();
        self.open(content)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_and_a_limit_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(&directory.path().join("spool"), 10).unwrap();
        let one = spool.add(&mut &b"one"[..]).unwrap();
        assert!(spool.add(&mut &b"too many!"[..]).is_err());
        let two = spool.add(&mut &b"and two"[..]).unwrap();
        assert_eq!(spool.read(one, 9).unwrap(), b"one");
        assert_eq!(spool.read(two, 9).unwrap(), b"and two");
        assert!(spool.read(two, 6).is_err());
        assert!(spool.add(&mut &b"x"[..]).is_err());
    }
}
