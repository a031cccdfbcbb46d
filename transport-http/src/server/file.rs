//! Part of a file as a body: for connections that cannot have the kernel send it.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_interfaces::{Body, FilePart};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes in a piece. While one is on its way, the next is read.
const PIECE: u64 = 256 << 10;

type Piece = Result<(Bytes, FilePart)>;

/// The bytes of the part.
pub(super) fn stream(part: FilePart) -> Body {
    stream::unfold(
        ahead(part),
        async |reading: Option<JoinHandle<Piece>>| match reading?
            .await
            .map_err(Error::other)
            .flatten()
        {
            Ok((piece, rest)) => Some((Ok(piece), ahead(rest))),
            Err(error) => Some((Err(error), None)),
        },
    )
    .boxed()
}

/// Begins to read the next piece, if there is one.
fn ahead(mut part: FilePart) -> Option<JoinHandle<Piece>> {
    let size = part.range.end.saturating_sub(part.range.start).min(PIECE);
    let read = move || {
        let mut piece = vec![0; usize::try_from(size).expect("a piece fits into memory")];
        part.file.read_exact_at(&mut piece, part.range.start)?;
        part.range.start += size;
        Ok((piece.into(), part))
    };
    (size > 0).then(|| spawn_blocking(read))
}

/// The error of a file that is shorter than was said.
pub(super) fn too_short() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "a file has become shorter")
}
