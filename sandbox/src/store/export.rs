//! The nar of an item, as a stream.

use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream;
use grange_derivation::nar;
use grange_interfaces::Body;
use tokio::sync::mpsc;

use super::Hold;
use std::path::PathBuf;

/// Bytes of a piece, and pieces that wait to be read: this is all that an export holds in memory.
const PIECE: usize = 256 * 1024;
const WAITING: usize = 2;

/// Packs what lies at `item` while the body is read. The item is held until the body is read or dropped.
pub(super) fn export(item: PathBuf, hold: Hold) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut pieces = Pieces {
            sender,
            buffer: BytesMut::with_capacity(PIECE),
        };
        let packed = nar::pack(&item, &mut pieces)
            .map_err(io::Error::other)
            .and_then(|_| pieces.flush());
        if let Err(error) = packed {
            // Nobody listens any more if that is why it failed.
            let _ = pieces.sender.blocking_send(Err(error));
        }
        drop(hold);
    });
    stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    })
    .boxed()
}

struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: BytesMut,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(PIECE)).freeze();
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
