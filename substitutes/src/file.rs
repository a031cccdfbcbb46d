//! The bytes of an item that is a single file, out of its compressed nar.

use std::io::{self, Read};

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::nar::{Decoder, Event};
use grange_interfaces::Body;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

/// Bytes that are decompressed at once.
const PIECE: usize = 128 * 1024;

/// The file in a nar; an error in the body if it is a directory or a link.
pub(crate) fn contents(nar: Body) -> Body {
    let (sender, receiver) = mpsc::channel(2);
    let reader = SyncIoBridge::new(StreamReader::new(nar));
    tokio::task::spawn_blocking(move || {
        if let Err(error) = unpack(reader, &sender) {
            // Nobody listens any more: then nobody needs to know.
            let _ = sender.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    })
    .boxed()
}

fn unpack(compressed: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
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
            let bytes = match event {
                Event::Data(bytes) => Bytes::copy_from_slice(bytes),
                Event::StartDirectory | Event::Symlink(_) => {
                    return Err(damaged("it is no single file".into()));
                }
                _ => continue,
            };
            if sender.blocking_send(Ok(bytes)).is_err() {
                return Ok(());
            }
        }
    }
}
