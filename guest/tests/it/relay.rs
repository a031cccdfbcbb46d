//! Connections through one port.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::rig::{Process, soon};

/// A relay in a process, a host's end here, and what it connects to.
pub(crate) struct Rig {
    process: Process,
    directory: tempfile::TempDir,
    listener: UnixListener,
    host: JoinHandle<()>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("there")).unwrap();
        let (ours, theirs) = StdStream::pair().unwrap();
        let process = relay(&directory.path().join("guest"), (ours, theirs));
        let there = directory.path().join("there");
        let host = host(process.port(), there);
        Self {
            process,
            directory,
            listener,
            host,
        }
    }

    /// A connection, from a program in the guest to a server of the host's.
    pub(crate) async fn connect(&self) -> (UnixStream, UnixStream) {
        let path = self.directory.path().join("guest");
        let inside = soon(async {
            loop {
                match UnixStream::connect(&path).await {
                    Ok(stream) => break stream,
                    // The process has not come to listening.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
                }
            }
        })
        .await;
        let (outside, _) = soon(self.listener.accept()).await.unwrap();
        (inside, outside)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.host.abort();
    }
}

fn relay(socket: &Path, port: (StdStream, StdStream)) -> Process {
    Process::start(&["relay", "-", socket.to_str().unwrap()], port)
}

fn host(port: UnixStream, there: PathBuf) -> JoinHandle<()> {
    tokio::spawn(async move {
        let connect = move || UnixStream::connect(there.clone());
        grange_guest::client::relay(port, connect).await;
    })
}

/// Sends bytes one way, and checks that they come as they are, and then the end.
async fn send(from: &mut UnixStream, to: &mut UnixStream, length: u32) {
    let bytes: Vec<u8> = (0..length).flat_map(u32::to_be_bytes).collect();
    let mut received = Vec::new();
    let write = async {
        from.write_all(&bytes).await?;
        from.shutdown().await
    };
    let (written, read) = soon(async { tokio::join!(write, to.read_to_end(&mut received)) }).await;
    written.unwrap();
    read.unwrap();
    assert!(
        received == bytes,
        "{} bytes of {}",
        received.len(),
        bytes.len()
    );
}

/// Waits for a stream's end, however it comes.
async fn ends(stream: &mut UnixStream) -> io::Result<usize> {
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await
}

#[tokio::test]
async fn bytes_and_ends_go_both_ways() {
    let rig = Rig::new();
    let (mut inside, mut outside) = rig.connect().await;
    // One direction ends while the other goes on.
    send(&mut inside, &mut outside, 500_000).await;
    send(&mut outside, &mut inside, 500_000).await;
}

#[tokio::test]
async fn many_connections_go_through_one_port() {
    let rig = Rig::new();
    let mut tasks = Vec::new();
    for index in 0..30 {
        let (mut inside, mut outside) = rig.connect().await;
        tasks.push(tokio::spawn(async move {
            send(&mut inside, &mut outside, 10_000 * index).await;
            send(&mut outside, &mut inside, 10_000).await;
        }));
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_sleeps_blocks_no_other_connection() {
    let rig = Rig::new();
    let (mut stuck, _unread) = rig.connect().await;
    let fill = tokio::spawn(async move { stuck.write_all(&vec![0; 10_000_000]).await });
    for _ in 0..3 {
        let (mut inside, mut outside) = rig.connect().await;
        send(&mut inside, &mut outside, 300_000).await;
    }
    assert!(!fill.is_finished());
    fill.abort();
}

#[tokio::test]
async fn a_connection_that_is_cut_at_one_end_ends_at_the_other() {
    let rig = Rig::new();
    let (inside, mut outside) = rig.connect().await;
    drop(inside);
    assert_eq!(ends(&mut outside).await.unwrap(), 0);
    let (mut inside, outside) = rig.connect().await;
    drop(outside);
    assert_eq!(ends(&mut inside).await.unwrap(), 0);
    // In the middle of an upload that the server does not want to hear the end of.
    let (mut inside, mut outside) = rig.connect().await;
    let upload = tokio::spawn(async move { while inside.write_all(&[1; 4096]).await.is_ok() {} });
    soon(outside.read_exact(&mut [0; 100_000])).await.unwrap();
    drop(outside);
    soon(upload).await.unwrap();
}

/// A server that only writes later must not have to find out by that.
#[tokio::test]
async fn a_program_that_is_gone_is_told_from_one_that_has_said_all() {
    let rig = Rig::new();
    let (mut inside, mut outside) = rig.connect().await;
    inside.write_all(b"last words").await.unwrap();
    drop(inside);
    let mut words = Vec::new();
    soon(outside.read_to_end(&mut words)).await.unwrap();
    assert_eq!(words, b"last words");
    // Nothing is written: what it was relayed to is closed all the same.
    let closed = async {
        while !outside
            .ready(Interest::WRITABLE)
            .await
            .unwrap()
            .is_write_closed()
        {
            tokio::task::yield_now().await;
        }
    };
    soon(closed).await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_a_connection_that_ends() {
    let rig = Rig::new();
    drop(rig.connect().await);
    std::fs::remove_file(rig.directory.path().join("there")).unwrap();
    let path = rig.directory.path().join("guest");
    let mut inside = UnixStream::connect(path).await.unwrap();
    assert_eq!(ends(&mut inside).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn another_host_cuts_the_connections_and_new_ones_work() {
    let mut rig = Rig::new();
    let (mut inside, mut outside) = rig.connect().await;
    rig.host.abort();
    // The one before must not read any more.
    while !rig.host.is_finished() {
        tokio::task::yield_now().await;
    }
    rig.host = host(rig.process.port(), rig.directory.path().join("there"));
    assert_eq!(ends(&mut outside).await.unwrap_or(0), 0);
    assert_eq!(ends(&mut inside).await.unwrap_or(0), 0);
    let (mut inside, mut outside) = rig.connect().await;
    send(&mut inside, &mut outside, 100_000).await;
}

#[tokio::test]
async fn another_relay_in_the_guest_cuts_the_connections_and_new_ones_work() {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("there")).unwrap();
    let (ours, theirs) = StdStream::pair().unwrap();
    let again = (ours.try_clone().unwrap(), theirs.try_clone().unwrap());
    let first = relay(&directory.path().join("guest"), (ours, theirs));
    let host = host(first.port(), directory.path().join("there"));
    let mut rig = Rig {
        process: first,
        directory,
        listener,
        host,
    };
    let (_inside, mut outside) = rig.connect().await;
    let socket = rig.directory.path().join("guest");
    rig.process.end();
    rig.process = relay(&socket, again);
    assert_eq!(ends(&mut outside).await.unwrap_or(0), 0);
    let (mut inside, mut outside) = rig.connect().await;
    send(&mut inside, &mut outside, 100_000).await;
}
