//! Bytes to a receiver that may not want them.

use std::fs::File;
use std::io::{Error, ErrorKind, IoSliceMut, Result};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use grange_interfaces::FilePart;
use rustix::fs::sendfile;
use rustix::io::{ReadWriteFlags, preadv2};
use rustix::net::{SendFlags, send};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::timeout;

use crate::server::file::too_short;

/// Bytes of a file that are given to the kernel together. Then others have their turn, if they had none meanwhile.
const PIECE: u64 = 2 << 20;
/// Bytes that are read together where the disk has to be waited for.
const READ: usize = 128 << 10;

/// A connection's other side.
pub(super) struct Receiver<'a> {
    pub(super) stream: &'a TcpStream,
    /// How long it may take none of what waits for it.
    pub(super) stall_time: Duration,
}

impl Receiver<'_> {
    /// Sends bytes; `more` if others follow at once, that should not travel in a packet of their own.
    pub(super) async fn bytes(&self, mut bytes: &[u8], more: bool) -> Result<()> {
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::MORE, more);
        while !bytes.is_empty() {
            let sent = self
                .when_ready(|| Ok(send(self.stream, bytes, flags)?))
                .await?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Has the kernel send part of a file. What does not lie in memory is brought there by another thread first:
    /// nobody else's work waits for the disk.
    pub(super) async fn file(&self, part: FilePart) -> Result<()> {
        let FilePart { file, mut range } = part;
        let file = Arc::new(file);
        while range.start < range.end {
            let end = range.end.min(range.start + PIECE);
            if !is_in_memory(&file, range.start, end) {
                let (file, from) = (Arc::clone(&file), range.start);
                spawn_blocking(move || bring_to_memory(&file, from, end))
                    .await
                    .map_err(Error::other)??;
            }
            let mut calls = 0;
            while range.start < end {
                let count = usize::try_from(end - range.start).expect("a piece fits into memory");
                let mut at = range.start;
                let sent = self
                    .when_ready(|| Ok(sendfile(self.stream, &file, Some(&mut at), count)?))
                    .await?;
                if sent == 0 {
                    return Err(too_short());
                }
                range.start += sent as u64;
                calls += 1;
            }
            if calls == 1 {
                yield_now().await;
            }
        }
        Ok(())
    }

    async fn when_ready(&self, mut act: impl FnMut() -> Result<usize>) -> Result<usize> {
        loop {
            match self.stream.try_io(Interest::WRITABLE, &mut act) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                done => return done,
            }
            let stalled = |_| Error::new(ErrorKind::TimedOut, "the receiver takes nothing");
            timeout(self.stall_time, self.stream.writable())
                .await
                .map_err(stalled)??;
        }
    }
}

/// Whether both ends of a piece lie in the page cache: files are read ahead, so mostly what is between them does, too.
/// Where the file system cannot say, they do not.
fn is_in_memory(file: &File, from: u64, end: u64) -> bool {
    let lies = |at| {
        let mut byte = [0];
        let mut bytes = [IoSliceMut::new(&mut byte)];
        preadv2(file, &mut bytes, at, ReadWriteFlags::NOWAIT).is_ok_and(|read| read == 1)
    };
    lies(from) && lies(end - 1)
}

fn bring_to_memory(file: &File, from: u64, end: u64) -> Result<()> {
    let mut at = from;
    let mut buffer = vec![0; READ];
    while at < end {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Err(too_short()),
            Ok(read) => at += read as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn sent(part: FilePart) -> (Result<()>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let sending = async move {
            let receiver = Receiver {
                stream: &stream,
                stall_time: Duration::from_secs(60),
            };
            receiver.bytes(b"head", true).await.unwrap();
            receiver.file(part).await
        };
        let mut all = Vec::new();
        let (done, read) = tokio::join!(sending, client.read_to_end(&mut all));
        read.unwrap();
        (done, all)
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[tokio::test]
    async fn parts_of_files_arrive() {
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|it| (it % 251) as u8).collect();
        for range in [
            0..5_000_000,
            3..4,
            1_048_576..2_097_152,
            4_999_999..5_000_000,
            7..7,
        ] {
            let part = FilePart {
                file: file(&bytes),
                range: range.start as u64..range.end as u64,
            };
            let (done, all) = sent(part).await;
            done.unwrap();
            assert!(all[4..] == bytes[range.clone()], "{range:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_breaks_off() {
        let part = FilePart {
            file: file(b"short"),
            range: 0..10,
        };
        let (done, all) = sent(part).await;
        assert_eq!(done.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(b"headshort".starts_with(&all[..]), "{all:?}");
    }

    #[test]
    fn what_is_brought_to_memory_is_there() {
        let file = file(&[7; 300_000]);
        bring_to_memory(&file, 100, 300_000).unwrap();
        assert!(bring_to_memory(&file, 100, 300_001).is_err());
        assert!(!is_in_memory(&file, 0, 300_001));
    }
}
