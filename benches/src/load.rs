//! A load generator for HTTP/1.1, cheap enough not to be what is measured.
//!
//! One thread, on a processor of its own; connections that are kept; one request at a time on each. What bodies hold is
//! not copied out of the kernel (`MSG_TRUNC`, tcp(7)), only counted.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvFlags, recv};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The longest head of a response.
const HEAD: usize = 16 << 10;
/// How long to wait for a single page.
const FETCH_TIME: Duration = Duration::from_secs(30);
/// Bytes of a body that are thrown away together.
const PIECE: usize = 4 << 20;

/// What was answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
    /// Requests.
    pub requests: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Answered {
    /// Requests in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// MiB of bodies in a second.
    #[must_use]
    pub fn mib_per_second(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20) / self.seconds
    }
}

/// Keeps the calling thread, and the processes that it starts from now on, on one processor.
///
/// # Errors
///
/// There is no such processor.
pub fn pin(processor: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).with_context(|| format!("there is no processor {processor}"))
}

/// Asks for `paths` in turn on each of `connections` connections, for so long. Every answer has to be 200 with a length.
///
/// # Errors
///
/// The server closes a connection or answers anything else.
pub fn ask(
    server: SocketAddr,
    paths: &[String],
    connections: usize,
    time: Duration,
) -> anyhow::Result<Answered> {
    let requests: Vec<Vec<u8>> = paths.iter().map(|path| request(server, path)).collect();
    let mut all = (0..connections)
        .map(|number| Connection::open(server, number))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut answered = Answered::default();
    let mut piece = vec![0; PIECE];
    let begun = Instant::now();
    for connection in &mut all {
        connection.send(&requests)?;
    }
    loop {
        let sockets: Vec<TcpStream> = all
            .iter()
            .map(|connection| connection.stream.try_clone())
            .collect::<Result<_, _>>()?;
        let mut ready: Vec<PollFd<'_>> = sockets
            .iter()
            .map(|socket| PollFd::new(socket, PollFlags::IN))
            .collect();
        // Descriptors are made anew only now and then.
        for _ in 0..1000 {
            poll(&mut ready, None)?;
            for (connection, ready) in all.iter_mut().zip(&ready) {
                if ready.revents().is_empty() {
                    continue;
                }
                if connection.read(&mut piece, &mut answered)? {
                    connection.send(&requests)?;
                }
            }
            let passed = begun.elapsed();
            if passed >= time {
                answered.seconds = passed.as_secs_f64();
                return Ok(answered);
            }
        }
    }
}

/// What a server answers to one request: status, and body.
///
/// # Errors
///
/// It cannot be reached, says nothing for 30 s, or does not say how long its answer is.
pub fn fetch(server: SocketAddr, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(FETCH_TIME))?;
    stream.write_all(&request(server, path))?;
    let mut all = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        // Not every server closes when it is asked to.
        let end = end_of_head(&all);
        let length = end.and_then(|end| Some((end, length(&all[..end])?)));
        if let Some((end, length)) = length
            && (all.len() - end) as u64 >= length
        {
            let status = status(&all[..end])?;
            return Ok((status, all.split_off(end)));
        }
        let read = stream.read(&mut piece)?;
        ensure!(read > 0, "{server} breaks off");
        all.extend_from_slice(&piece[..read]);
    }
}

fn request(server: SocketAddr, path: &str) -> Vec<u8> {
    // As clients of Guix and Nix say it, more or less.
    format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n")
        .into_bytes()
}

struct Connection {
    stream: TcpStream,
    next: usize,
    head: Vec<u8>,
    /// Bytes of a body that are still to come.
    left: u64,
}

impl Connection {
    fn open(server: SocketAddr, number: usize) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            next: number,
            head: Vec::with_capacity(HEAD),
            left: 0,
        })
    }

    fn send(&mut self, requests: &[Vec<u8>]) -> anyhow::Result<()> {
        let request = &requests[self.next % requests.len()];
        self.next += 1;
        let sent = self.stream.write(request)?;
        ensure!(sent == request.len(), "a request did not fit");
        Ok(())
    }

    /// Reads what has come; true if that ends an answer.
    fn read(&mut self, piece: &mut [u8], answered: &mut Answered) -> anyhow::Result<bool> {
        if self.left == 0 {
            let before = self.head.len();
            self.head.resize(HEAD, 0);
            let read = match self.stream.read(&mut self.head[before..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Ok(0) => anyhow::bail!("the server has closed a connection"),
                read => read?,
            };
            self.head.truncate(before + read);
            let Some(end) = end_of_head(&self.head) else {
                return Ok(false);
            };
            let status = status(&self.head[..end])?;
            ensure!(status == 200, "the server answers {status}");
            let length = length(&self.head[..end]).context("the answer does not say its length")?;
            answered.bytes += length;
            self.left = length - (self.head.len() - end) as u64;
            self.head.clear();
        } else {
            let most = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
            let discard = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
            match recv(&self.stream, &mut piece[..most], discard) {
                Ok((_, 0)) => anyhow::bail!("the server has closed a connection"),
                Ok((_, read)) => self.left -= read as u64,
                Err(error) if error == rustix::io::Errno::AGAIN => {}
                Err(error) => return Err(error.into()),
            }
        }
        let done = self.left == 0;
        answered.requests += u64::from(done);
        Ok(done)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

fn status(head: &[u8]) -> anyhow::Result<u16> {
    let digits = head.get(9..12).and_then(|it| std::str::from_utf8(it).ok());
    let digits = digits.context("the answer has no status")?;
    digits.parse().context("the answer has no status")
}

fn length(head: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lengths = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())
            .flatten()
    });
    lengths.next()
}
