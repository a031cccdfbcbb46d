//! What a guest prints, and what is typed at it.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// So much of what the guest prints is kept.
const KEPT: usize = 64 << 10;
/// A listener that is behind by so many pieces loses the oldest.
const BEHIND: usize = 256;

/// A guest's console. The end of what is printed is kept; a guest that floods it takes no more than that.
#[derive(Debug)]
pub struct Console {
    kept: Arc<Mutex<VecDeque<u8>>>,
    pieces: broadcast::Sender<Vec<u8>>,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    reader: JoinHandle<()>,
}

impl Console {
    /// Listens at the socket of a QEMU's console.
    ///
    /// # Errors
    ///
    /// It cannot be connected to.
    pub async fn listen(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        let (mut from, writer) = stream.into_split();
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (pieces, _) = broadcast::channel(BEHIND);
        let reader = tokio::spawn({
            let (kept, pieces) = (Arc::clone(&kept), pieces.clone());
            async move {
                let mut buffer = vec![0; 4096];
                while let Ok(count @ 1..) = from.read(&mut buffer).await {
                    keep(&kept, &buffer[..count]);
                    // Nobody needs to listen.
                    let _: Result<_, _> = pieces.send(buffer[..count].to_vec());
                }
            }
        });
        Ok(Self {
            kept,
            pieces,
            writer: tokio::sync::Mutex::new(writer),
            reader,
        })
    }

    /// The last lines that were printed, at most so many, without what is no text.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        drop(kept);
        let text = String::from_utf8_lossy(&bytes);
        let plain = |c: char| !c.is_control() || c == '\t';
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.chars().filter(|c| plain(*c)).collect::<String>())
            .filter(|line| !line.trim().is_empty())
            .collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// What was kept of what has been printed, and what is printed from now on.
    #[must_use]
    pub fn follow(&self) -> (Vec<u8>, broadcast::Receiver<Vec<u8>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (one, two) = kept.as_slices();
        ([one, two].concat(), self.pieces.subscribe())
    }

    /// Types something.
    ///
    /// # Errors
    ///
    /// The emulator has ended.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.writer.lock().await.write_all(bytes).await
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn keep(kept: &Mutex<VecDeque<u8>>, bytes: &[u8]) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.extend(bytes);
    let most = kept.len().saturating_sub(KEPT);
    kept.drain(..most);
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn the_end_is_kept_whatever_comes() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("console");
        let listener = UnixListener::bind(&socket).unwrap();
        let console = Console::listen(&socket).await.unwrap();
        let (mut guest, _) = listener.accept().await.unwrap();
        let (_, mut pieces) = console.follow();
        guest
            .write_all(&b"flood\r\n".repeat(1 << 16))
            .await
            .unwrap();
        guest
            .write_all(b"\x1b[31mKernel panic\r\n\r\n\xff last\n")
            .await
            .unwrap();
        console.write(b"typed").await.unwrap();
        let mut typed = [0; 5];
        guest.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"typed");
        drop(guest);
        // The end of it is there once the reader has seen the end of the stream, which it drops its sender after.
        loop {
            let last = match pieces.recv().await {
                Ok(piece) => piece.ends_with(b"last\n"),
                Err(broadcast::error::RecvError::Lagged(_)) => false,
                Err(broadcast::error::RecvError::Closed) => true,
            };
            if last {
                break;
            }
        }
        assert_eq!(console.last_lines(2), "[31mKernel panic\n\u{fffd} last");
        assert_eq!(console.follow().0.len(), KEPT);
    }
}
