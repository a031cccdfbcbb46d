//! Reading a range.

use std::fs::File;
use std::io::{Error, ErrorKind, IoSliceMut, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use grange_interfaces::{ArtifactError, Body, Source, empty_body};
use grange_model::BlobId;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::{at, ended};
use crate::layout::{Layout, name_of};

/// Bytes in a piece. While one is on its way, the next is read.
const PIECE: u64 = 256 << 10;

/// What has at most so many bytes is read at once if it is in memory.
const SMALL: u64 = 64 << 10;

type Piece = std::io::Result<(Bytes, Reading)>;

/// The bytes in `range`, cut to what is there.
pub(crate) async fn read(
    layout: &Layout,
    source: &Source,
    range: Range<u64>,
) -> Result<Body, ArtifactError> {
    let path = layout.source(source);
    let name = name_of(source);
    match at_hand(&path, &range) {
        AtHand::Nothing => return Err(ArtifactError::NotFound(name)),
        AtHand::Bytes(bytes) if bytes.is_empty() => return Ok(empty_body()),
        AtHand::Bytes(bytes) => return Ok(stream::iter([Ok(bytes.into())]).boxed()),
        AtHand::Unknown => {}
    }
    let open = move || -> Result<Piece, ArtifactError> {
        let mut file = open(&path, name)?;
        let length = file.metadata().map_err(at("look at", &path))?.len();
        let rest = range.end.min(length).saturating_sub(range.start);
        if rest > 0 && range.start > 0 {
            file.seek(SeekFrom::Start(range.start))
                .map_err(at("read", &path))?;
        }
        Ok(Reading { file, path, rest }.next())
    };
    let first = spawn_blocking(open).await.map_err(ended)??;
    let (piece, reading) = first.map_err(ArtifactError::Io)?;
    if piece.is_empty() {
        return Ok(empty_body());
    }
    let first = stream::iter([Ok(piece)]);
    Ok(first.chain(stream::unfold(reading.ahead(), rest)).boxed())
}

/// What is known of a file without waiting for the disk: to have another thread look takes longer than to look.
enum AtHand {
    /// There is none.
    Nothing,
    /// All that was asked for.
    Bytes(Vec<u8>),
    Unknown,
}

fn at_hand(path: &Path, range: &Range<u64>) -> AtHand {
    let file = match open_at_hand(path) {
        Ok(file) => file,
        Err(Errno::NOENT) => return AtHand::Nothing,
        Err(_) => return AtHand::Unknown,
    };
    let Ok(length) = file.metadata().map(|it| it.len()) else {
        return AtHand::Unknown;
    };
    let rest = range.end.min(length).saturating_sub(range.start);
    if rest > SMALL {
        return AtHand::Unknown;
    }
    let mut bytes = vec![0; usize::try_from(rest).expect("it is small")];
    let mut room = [IoSliceMut::new(&mut bytes)];
    match preadv2(&file, &mut room, range.start, ReadWriteFlags::NOWAIT) {
        Ok(read) if read as u64 == rest => AtHand::Bytes(bytes),
        _ => AtHand::Unknown,
    }
}

/// Opens a file only if that needs no disk; `NOENT` if it is known that there is none.
fn open_at_hand(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).map(File::from)
}

/// A sealed blob, if it can be opened without waiting for the disk.
pub(crate) fn file_at_hand(layout: &Layout, blob: BlobId) -> Option<File> {
    let path = layout.source(&Source::Blob(blob));
    open_at_hand(&path).ok()
}

/// A blob's file, for others to read.
pub(crate) fn file(layout: &Layout, blob: BlobId) -> Result<File, ArtifactError> {
    open(&layout.blob(blob), name_of(&Source::Blob(blob)))
}

/// How long a source is.
pub(crate) fn size(layout: &Layout, source: &Source) -> Result<u64, ArtifactError> {
    let path = layout.source(source);
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(ArtifactError::NotFound(name_of(source)))
        }
        found => Ok(found.map_err(at("look at", &path))?.len()),
    }
}

/// A file that is read on a thread that may wait.
struct Reading {
    file: File,
    path: PathBuf,
    /// Bytes still to be read.
    rest: u64,
}

impl Reading {
    fn next(mut self) -> Piece {
        let size = self.rest.min(PIECE);
        let mut piece = vec![0; usize::try_from(size).expect("a piece fits into memory")];
        self.file.read_exact(&mut piece).map_err(|error| {
            let error = match error.kind() {
                ErrorKind::UnexpectedEof => "it has become shorter".to_owned(),
                _ => error.to_string(),
            };
            Error::other(format!("cannot read {}: {error}", self.path.display()))
        })?;
        self.rest -= size;
        Ok((piece.into(), self))
    }

    /// Begins to read the next piece, if there is one.
    fn ahead(self) -> Option<JoinHandle<Piece>> {
        (self.rest > 0).then(|| spawn_blocking(move || self.next()))
    }
}

type Ahead = Option<JoinHandle<Piece>>;

async fn rest(ahead: Ahead) -> Option<(std::io::Result<Bytes>, Ahead)> {
    match ahead?.await.map_err(Error::other).flatten() {
        Ok((piece, reading)) => Some((Ok(piece), reading.ahead())),
        Err(error) => Some((Err(error), None)),
    }
}

fn open(path: &Path, name: String) -> Result<File, ArtifactError> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(ArtifactError::NotFound(name)),
        opened => opened.map_err(at("open", path)),
    }
}
