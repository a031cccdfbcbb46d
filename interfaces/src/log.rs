//! What a build says while it runs.

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};

/// Where a builder puts what the build says. Bytes, in any encoding and in pieces of any length.
#[derive(Clone, Debug)]
pub struct Log(mpsc::Sender<Bytes>);

/// Where it comes out.
#[derive(Debug)]
pub struct LogReceiver(mpsc::Receiver<Bytes>);

impl Log {
    /// A log that holds at most `pieces` that nobody has taken yet.
    #[must_use]
    pub fn new(pieces: usize) -> (Self, LogReceiver) {
        let (sender, receiver) = mpsc::channel(pieces);
        (Self(sender), LogReceiver(receiver))
    }

    /// Puts a piece; waits while there is no room, so that a build cannot fill memory. What nobody
    /// listens to is dropped.
    pub async fn write(&mut self, piece: Bytes) {
        let _ = self.0.send(piece).await;
    }
}

impl LogReceiver {
    /// The next piece; none when every [`Log`] is gone.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.0.next().await
    }
}
