//! A file that is read while it is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_interfaces::Body;
use tokio::sync::watch;
use tokio::task::spawn_blocking;

/// Bytes that are read together.
const PIECE: u64 = 256 << 10;

/// How far the writer is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Bytes that can be read.
    pub(super) bytes: u64,
    /// Whether these are all.
    pub(super) whole: bool,
}

/// A file that somebody writes.
#[derive(Clone, Debug)]
pub(super) struct Growing {
    pub(super) file: Arc<File>,
    /// Its end without a whole file means that there will be none.
    pub(super) progress: watch::Receiver<Progress>,
}

impl Growing {
    /// All its bytes, as they come.
    pub(super) fn body(self) -> Body {
        stream::unfold(Some((self, 0)), async |state| {
            let (mut growing, at) = state?;
            match growing.piece(at).await {
                Ok(piece) if piece.is_empty() => None,
                Ok(piece) => {
                    let at = at + piece.len() as u64;
                    Some((Ok(piece), Some((growing, at))))
                }
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    /// The next bytes; none at the end.
    async fn piece(&mut self, at: u64) -> io::Result<Bytes> {
        loop {
            let progress = *self.progress.borrow_and_update();
            if progress.bytes > at {
                let size = (progress.bytes - at).min(PIECE);
                let file = Arc::clone(&self.file);
                let read = move || {
                    let mut piece = vec![0; usize::try_from(size).expect("a piece fits")];
                    file.read_exact_at(&mut piece, at)?;
                    Ok(Bytes::from(piece))
                };
                return spawn_blocking(read).await.map_err(io::Error::other)?;
            }
            if progress.whole {
                return Ok(Bytes::new());
            }
            let broke_off = |_| io::Error::other("the nar could not be compressed");
            self.progress.changed().await.map_err(broke_off)?;
        }
    }
}
