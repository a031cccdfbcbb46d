//! Reading bodies piece by piece.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use grange_interfaces::{Body, Fault, Refusal};
use tokio::sync::mpsc;

/// Pairs of a path and a text in a body.
pub(crate) struct Frames {
    body: Body,
    buffer: BytesMut,
    largest: usize,
}

impl Frames {
    pub(crate) fn new(body: Body, largest: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            largest,
        }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, Refusal> {
        if !self.want(1).await? {
            return Ok(None);
        }
        let path = self.part(4_096).await?;
        let text = self.part(self.largest).await?;
        Ok(Some((path, text)))
    }

    async fn part(&mut self, largest: usize) -> Result<Bytes, Refusal> {
        self.need(4).await?;
        let length = self.buffer.get_u32() as usize;
        if length > largest {
            return Err(Refusal::new(
                Fault::Caller,
                format!("a part of the body has {length} bytes; at most {largest} are taken"),
            ));
        }
        self.need(length).await?;
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn need(&mut self, count: usize) -> Result<(), Refusal> {
        if self.want(count).await? {
            return Ok(());
        }
        Err(Refusal::new(
            Fault::Caller,
            "the body ends in the middle of a derivation",
        ))
    }

    /// Whether so many bytes are there before the body ends.
    async fn want(&mut self, count: usize) -> Result<bool, Refusal> {
        while self.buffer.len() < count {
            match self.body.next().await {
                Some(Ok(piece)) => self.buffer.extend_from_slice(&piece),
                Some(Err(error)) => return Err(broke_off(&error)),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

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
