//! Bodies that broke off, and bodies that are written.

use std::io;

use bytes::Bytes;
use futures::StreamExt;
use grange_interfaces::{Body, Fault, Refusal};
use tokio::sync::mpsc;

pub(crate) fn broke_off(error: &io::Error) -> Refusal {
    Refusal::new(Fault::Caller, format!("the body broke off: {error}"))
}

/// A writer in a blocking thread whose bytes come out as a body.
pub(crate) struct BodyWriter(pub(crate) mpsc::Sender<io::Result<Bytes>>);

impl BodyWriter {
    /// The writer, and the body that it writes.
    pub(crate) fn new() -> (Self, Body) {
        let (sender, receiver) = mpsc::channel(8);
        let pieces = futures::stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((piece, receiver))
        });
        (Self(sender), pieces.boxed())
    }
}

impl io::Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0
            .blocking_send(Ok(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
