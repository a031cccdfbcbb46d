//! The bytes of an item that is a single file, out of its compressed nar.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use grange_derivation::nar::{Decoder, Event};
use grange_interfaces::Body;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// Bytes that are decompressed at once.
const PIECE: usize = 128 * 1024;
/// How many files are unpacked at once. Each has a thread to itself, and needs others that read its blob: the runtime
/// has some hundreds for all that the farm does.
const AT_ONCE: usize = 16;
/// How long somebody waits for a thread before being told to come again.
const WAIT: Duration = Duration::from_secs(5);
/// How long a client may take nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Threads that unpack files.
#[derive(Debug)]
pub(crate) struct Unpackers(Arc<Semaphore>);

impl Default for Unpackers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Unpackers {
    /// One of them; none if all stay busy.
    pub(crate) async fn one(&self) -> Option<Unpacker> {
        let place = timeout(WAIT, Arc::clone(&self.0).acquire_owned()).await;
        let place = place.ok()?.ok()?;
        Some(Unpacker { _place: place })
    }
}

/// A thread that will unpack a file.
#[derive(Debug)]
pub(crate) struct Unpacker {
    _place: OwnedSemaphorePermit,
}

impl Unpacker {
    /// The file in a nar; an error in the body if it is a directory or a link, or if nobody takes the bytes for a
    /// minute.
    pub(crate) fn contents(self, nar: Body) -> Body {
        let (sender, pieces) = mpsc::channel(2);
        // How it ended needs no room among the pieces, of which nobody may take any.
        let (ended, end) = oneshot::channel();
        // Who goes is noticed while nothing comes to be sent, too.
        let listener = sender.clone();
        let gone = async move { listener.closed().await }.boxed();
        let reader = SyncIoBridge::new(StreamReader::new(nar.take_until(gone)));
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let result = unpack(reader, |piece| {
                let sent = runtime.block_on(sender.send_timeout(piece, PATIENCE));
                sent.map_err(|_| io::Error::other("nobody took its bytes"))
            });
            // Nobody listens any more: then nobody needs to know.
            let _ = ended.send(result);
            drop(self);
        });
        stream::unfold(Some((pieces, end)), async |state| {
            let (mut pieces, end) = state?;
            if let Some(piece) = pieces.recv().await {
                return Some((Ok(piece), Some((pieces, end))));
            }
            match end.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((Err(error), None)),
                Err(_) => Some((Err(io::Error::other("it was not unpacked")), None)),
            }
        })
        .boxed()
    }
}

fn unpack(compressed: impl Read, mut send: impl FnMut(Bytes) -> io::Result<()>) -> io::Result<()> {
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut reader = zstd::Decoder::new(compressed)?;
    let mut decoder = Decoder::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = reader.read(&mut piece)?;
        if read == 0 {
            return decoder
                .finish()
                .map(drop)
                .map_err(|error| damaged(error.to_string()));
        }
        let mut rest = &piece[..read];
        while let Some(event) = decoder
            .decode(&mut rest)
            .map_err(|error| damaged(error.to_string()))?
        {
            match event {
                Event::Data(bytes) => send(Bytes::copy_from_slice(bytes))?,
                Event::StartDirectory | Event::Symlink(_) => {
                    return Err(damaged("it is no single file".into()));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_goes_while_nothing_comes_makes_room() {
        let unpackers = Unpackers::default();
        let bodies: Vec<_> = (0..AT_ONCE).map(|_| stream::pending().boxed()).collect();
        let mut contents = Vec::new();
        for body in bodies {
            contents.push(unpackers.one().await.unwrap().contents(body));
        }
        assert!(unpackers.0.try_acquire().is_err());
        drop(contents);
        while unpackers.0.available_permits() < AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
}
