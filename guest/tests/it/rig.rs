//! A guest that is a process beside us.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grange_guest::client::Guest;
use grange_guest::protocol::{BREAK, Decoder, Frame, Hello, Kind, NONCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The longest that anything here may take. Only reached by what hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The program, serving the other end of `port`.
pub(crate) struct Process {
    child: Child,
    port: StdStream,
}

impl Process {
    pub(crate) fn serving() -> Self {
        Self::start(&["--serve", "-"], StdStream::pair().unwrap())
    }

    pub(crate) fn start(arguments: &[&str], (port, theirs): (StdStream, StdStream)) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_grange-guest"))
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        Self { child, port }
    }

    /// Our end of the port; each is another handle to the same.
    pub(crate) fn port(&self) -> UnixStream {
        let port = self.port.try_clone().unwrap();
        port.set_nonblocking(true).unwrap();
        UnixStream::from_std(port).unwrap()
    }

    pub(crate) async fn guest(&self) -> Guest {
        Guest::connect(self.port(), deadline()).await.unwrap()
    }

    /// Ends it as a power cut would.
    pub(crate) fn end(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }

    /// Kibibytes of memory that the process has.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Waits until the process has this many threads.
    pub(crate) async fn has_threads(&self, count: u64) {
        soon(async {
            while self.threads() != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    pub(crate) fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

pub(crate) fn deadline() -> Instant {
    Instant::now() + LIMIT
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it hangs")
}

/// Waits until a process of this machine is no more (or only waits for being reaped).
pub(crate) async fn gone(pid: u32) {
    let ended = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.rsplit_once(") ").unwrap().1.starts_with('Z')
    };
    soon(async {
        while !ended() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// One end of a conversation, by hand.
pub(crate) struct ByHand {
    pub(crate) port: UnixStream,
    pub(crate) decoder: Decoder,
}

impl ByHand {
    /// The host's end: says hello, does not wait for the answer.
    pub(crate) async fn host(port: UnixStream) -> Self {
        let Hello { version, .. } = Hello::current();
        Self::host_of_version(port, version).await
    }

    pub(crate) async fn host_of_version(mut port: UnixStream, version: u32) -> Self {
        let nonce = [42; NONCE];
        port.write_all(&[0; BREAK]).await.unwrap();
        let mut host = Self {
            port,
            decoder: Decoder::host(nonce),
        };
        let hello = format!("{{\"version\":{version}}}");
        let payload = [nonce.as_slice(), hello.as_bytes()].concat();
        host.send(&Frame::new(Kind::Hello, 0, payload)).await;
        host
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).unwrap();
        // The other end may have hung up on us.
        drop(self.port.write_all(&bytes).await);
    }

    /// The next frame; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut bytes = vec![0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            match self.port.read(&mut bytes).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.decoder.push(&bytes[..count]),
            }
        }
    }
}
