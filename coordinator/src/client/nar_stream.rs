//! Nars as bodies.

use std::io::{self, Write};
use std::path::PathBuf;

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::nar::{Encoder, FsError, pack};
use grange_interfaces::Body;
use tokio::sync::mpsc;

/// How many pieces may wait to be sent; each has at most the 256 KiB of the encoder's buffer.
const PIECES: usize = 2;

/// The nar of a file, directory or symbolic link, packed on a thread of its own as it is taken.
pub(super) fn nar_of_path(path: PathBuf) -> Body {
    body_of(move |writer| {
        pack(path, writer).map_err(|error| match error {
            FsError::Write(error) => error,
            error => io::Error::other(message(&error)),
        })
    })
}

/// The nar of a regular file with these bytes.
pub(super) fn nar_of_bytes(bytes: Bytes, executable: bool) -> Body {
    body_of(move |writer| write_file(writer, &bytes, executable))
}

/// Writes the nar of a regular file with these bytes; returns its size.
pub(super) fn write_file(
    writer: &mut impl Write,
    bytes: &[u8],
    executable: bool,
) -> io::Result<u64> {
    let mut encoder = Encoder::new(writer);
    encoder.regular(executable, bytes.len() as u64)?;
    encoder.data(bytes)?;
    Ok(encoder.finish()?.1)
}

/// An error with its causes, in one line.
pub(super) fn message(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What `write` writes, on a thread of its own, as it is taken; what nobody takes any more ends it.
fn body_of(write: impl FnOnce(&mut Pipe) -> io::Result<u64> + Send + 'static) -> Body {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe(sender);
        if let Err(error) = write(&mut pipe) {
            // Nobody listens any more: then nobody misses it.
            let _ = pipe.0.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    })
    .boxed()
}

struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
