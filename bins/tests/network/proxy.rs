//! A bad network: a proxy between agent and coordinator.

use std::collections::VecDeque;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes that are carried at once.
const PIECE: usize = 64 << 10;
/// Pieces that are on their way in one direction, where they are delayed.
const PIECES: usize = 64;
/// Bytes that the kernel may hold for each side, as little as on a line that is not long: what is on
/// its way when a connection breaks is lost.
const BUFFER: u32 = 128 << 10;

/// How bad it is. The default carries everything at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Badness {
    /// How long each byte takes, each way.
    pub(crate) delay: Duration,
    /// By how much more at most.
    pub(crate) jitter: Duration,
    /// Bytes a second that all connections together may send, each way.
    pub(crate) rate: Option<u64>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// Both sides are told so by a reset.
    Reset,
    /// Nobody is told anything: bytes vanish.
    Silence,
}

/// A proxy on loopback, until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) connections: u64,
    /// How often the side that connects began to say something after it had heard something.
    pub(crate) turns: u64,
    /// Bytes that the side that connects has sent.
    pub(crate) up: u64,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    badness: Badness,
    connections: AtomicU64,
    turns: AtomicU64,
    up: AtomicU64,
    /// At how many bytes upwards the connection that brings them breaks, in order.
    breaks: Mutex<VecDeque<(u64, Break)>>,
    broken: AtomicU64,
    /// When each direction is free again.
    free: [Mutex<Option<Instant>>; 2],
    seed: AtomicU64,
    /// All connections break so now.
    all: Notify,
}

impl Proxy {
    pub(crate) fn new(to: SocketAddr, badness: Badness) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            // Those that are accepted have the same.
            socket.set_recv_buffer_size(BUFFER).unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(64).unwrap()
        });
        let shared = Arc::new(Shared {
            to,
            badness,
            connections: AtomicU64::new(0),
            turns: AtomicU64::new(0),
            up: AtomicU64::new(0),
            breaks: Mutex::default(),
            broken: AtomicU64::new(0),
            free: Default::default(),
            seed: AtomicU64::new(1),
            all: Notify::new(),
        });
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::clone(&shared),
            _runtime: runtime,
        };
        proxy._runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Relaxed);
                tokio::spawn(Arc::clone(&shared).carry(near));
            }
        });
        proxy
    }

    pub(crate) fn count(&self) -> Count {
        Count {
            connections: self.shared.connections.load(Relaxed),
            turns: self.shared.turns.load(Relaxed),
            up: self.shared.up.load(Relaxed),
        }
    }

    /// Breaks the connections that bring these bytes upwards, counted from now on.
    pub(crate) fn break_at(&self, offsets: impl IntoIterator<Item = u64>, how: Break) {
        let now = self.shared.up.load(Relaxed);
        let mut breaks = self.shared.breaks.lock().unwrap();
        breaks.extend(offsets.into_iter().map(|offset| (now + offset, how)));
    }

    /// Makes all connections that there are silent.
    pub(crate) fn silence(&self) {
        self.shared.all.notify_waiters();
    }

    /// How many connections were broken by [`Self::break_at`].
    pub(crate) fn broken(&self) -> u64 {
        self.shared.broken.load(Relaxed)
    }
}

impl Shared {
    async fn carry(self: Arc<Self>, mut near: TcpStream) {
        let far = TcpSocket::new_v4().unwrap();
        far.set_send_buffer_size(BUFFER).unwrap();
        let Ok(mut far) = far.connect(self.to).await else {
            return;
        };
        let _ = near.set_nodelay(true);
        let _ = far.set_nodelay(true);
        let breaking = Mutex::new(None);
        let told = Notify::new();
        let heard = AtomicBool::new(true);
        let end = {
            let (near_read, near_write) = near.split();
            let (far_read, far_write) = far.split();
            let up = |bytes: usize| {
                if heard.swap(false, Relaxed) {
                    self.turns.fetch_add(1, Relaxed);
                }
                let all = self.up.fetch_add(bytes as u64, Relaxed) + bytes as u64;
                let mut breaks = self.breaks.lock().unwrap();
                if let Some((at, how)) = breaks.front().copied()
                    && at <= all
                {
                    breaks.pop_front();
                    self.broken.fetch_add(1, Relaxed);
                    *breaking.lock().unwrap() = Some(how);
                    told.notify_one();
                }
            };
            let down = |_| heard.store(true, Relaxed);
            let both = async {
                tokio::try_join!(
                    self.pump(0, near_read, far_write, up),
                    self.pump(1, far_read, near_write, down)
                )
            };
            tokio::select! {
                biased;
                () = told.notified() => *breaking.lock().unwrap(),
                () = self.all.notified() => Some(Break::Silence),
                // Where one side has gone, the other is told so.
                both = both => both.err().map(|_| Break::Reset),
            }
        };
        match end {
            None => {}
            Some(Break::Reset) => {
                for stream in [&near, &far] {
                    let _ = stream.set_zero_linger();
                }
            }
            // Both stay open, and nobody reads or writes.
            Some(Break::Silence) => std::future::pending().await,
        }
    }

    async fn pump(
        &self,
        way: usize,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        seen: impl Fn(usize),
    ) -> Result<()> {
        let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(self.pieces());
        let read = async move {
            let mut buffer = vec![0; PIECE];
            let mut last = Instant::now();
            loop {
                let length = from.read(&mut buffer).await?;
                if length == 0 {
                    return Ok(());
                }
                seen(length);
                // What was said first arrives first.
                last = last.max(Instant::now() + self.delay());
                let piece = Bytes::copy_from_slice(&buffer[..length]);
                if sender.send((last, piece)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let write = async move {
            while let Some((due, piece)) = receiver.recv().await {
                sleep_until(due).await;
                self.wait_for_turn(way, piece.len()).await;
                to.write_all(&piece).await?;
            }
            to.shutdown().await
        };
        tokio::try_join!(read, write).map(|_| ())
    }

    fn pieces(&self) -> usize {
        if self.badness.delay.is_zero() {
            1
        } else {
            PIECES
        }
    }

    fn delay(&self) -> Duration {
        let Badness { delay, jitter, .. } = self.badness;
        let drawn = self
            .seed
            .fetch_add(1, Relaxed)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            >> 40;
        delay + jitter.mul_f64(drawn as f64 / f64::from(1 << 24))
    }

    /// Waits until the line has room for a piece.
    async fn wait_for_turn(&self, way: usize, bytes: usize) {
        let Some(rate) = self.badness.rate else {
            return;
        };
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let until = {
            let mut free = self.free[way].lock().unwrap();
            let until = free.map_or_else(Instant::now, |free| free.max(Instant::now())) + takes;
            *free = Some(until);
            until
        };
        sleep(until - Instant::now()).await;
    }
}
