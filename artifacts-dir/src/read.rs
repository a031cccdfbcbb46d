//! Reading a range.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use grange_interfaces::{ArtifactError, Body, Source, empty_body};
use grange_model::BlobId;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::{at, ended};
use crate::layout::{Layout, name_of};

/// Bytes in a piece. While one is on its way, the next is read.
const PIECE: u64 = 256 << 10;

type Piece = std::io::Result<(Bytes, Reading)>;

/// The bytes in `range`, cut to what is there.
pub(crate) async fn read(
    layout: &Layout,
    source: &Source,
    range: Range<u64>,
) -> Result<Body, ArtifactError> {
    let path = layout.source(source);
    let name = name_of(source);
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

/// A sealed blob, if it can be opened without waiting for the disk: to have another thread open it would take longer.
pub(crate) fn file_at_hand(layout: &Layout, blob: BlobId) -> Option<File> {
    let path = layout.source(&Source::Blob(blob));
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = openat2(CWD, &path, flags, Mode::empty(), ResolveFlags::CACHED);
    opened.ok().map(File::from)
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

fn open(path: &std::path::Path, name: String) -> Result<File, ArtifactError> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(ArtifactError::NotFound(name)),
        opened => opened.map_err(at("open", path)),
    }
}
