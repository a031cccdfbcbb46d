//! The protocol over HTTP/1.1, said by one thread that is cheap enough not to be what is measured.
//!
//! Connections that are kept; one message at a time on each. Messages are encoded and answers decoded as by everybody
//! else; what is not done is everything around that: no tasks, no timers, no second try.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use data_encoding::BASE64;
use grange::interfaces::Peer;
use grange::interfaces::message::{Answer, Message, VERSIONS};
use grange::transport_http::{MEDIA_TYPE, decode_reply, encode_message};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// One connection.
#[derive(Debug)]
pub struct Wire {
    server: SocketAddr,
    stream: TcpStream,
    /// What has come of the next answer.
    come: Vec<u8>,
}

/// Who calls, as a header says it; nothing for who has nothing to show.
#[must_use]
pub fn authorization(peer: &Peer) -> String {
    match peer {
        Peer::Anonymous | Peer::Local => String::new(),
        Peer::Agent { id, password } => {
            let words = format!("{id}:{}", password.0);
            format!(
                "authorization: Basic {}\r\n",
                BASE64.encode(words.as_bytes())
            )
        }
        Peer::Token(token) => format!("authorization: Bearer {}\r\n", token.0),
    }
}

impl Wire {
    /// Opens one to a coordinator.
    ///
    /// # Errors
    ///
    /// It is not reached.
    pub fn open(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            server,
            stream,
            come: Vec::new(),
        })
    }

    /// Sends a message, and `body` behind its line. `authorization` is what [`authorization`] makes.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn send(
        &mut self,
        authorization: &str,
        message: &Message,
        body: &[u8],
    ) -> anyhow::Result<()> {
        let line = encode_message(message);
        let path = match message {
            Message::Hello { .. } => "/hello".to_owned(),
            _ => format!("/v{}/call", VERSIONS.1),
        };
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {MEDIA_TYPE}\r\n{authorization}content-length: {}\r\n\r\n",
            self.server,
            line.len() + body.len()
        )
        .into_bytes();
        request.extend_from_slice(&line);
        request.extend_from_slice(body);
        self.stream.write_all(&request)?;
        Ok(())
    }

    /// The answer, if all of it has come; it may be asked for at any time.
    ///
    /// # Errors
    ///
    /// The connection broke, or the coordinator refuses.
    pub fn receive(&mut self) -> anyhow::Result<Option<Answer>> {
        loop {
            let before = self.come.len();
            self.come.resize(before + PIECE, 0);
            let read = recv(&self.stream, &mut self.come[before..], RecvFlags::DONTWAIT);
            let (read, _) = match read {
                Err(Errno::AGAIN) => (0, 0),
                read => {
                    let read = read?;
                    ensure!(read.0 > 0, "the coordinator has closed a connection");
                    read
                }
            };
            self.come.truncate(before + read);
            if read < PIECE {
                break;
            }
        }
        let Some(end) = self.come.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let end = end + 4;
        let head = std::str::from_utf8(&self.come[..end])?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length
                .then(|| value.trim().parse::<usize>().ok())
                .flatten()
        });
        let length = length.context("the answer does not say its length")?;
        if self.come.len() < end + length {
            return Ok(None);
        }
        let reply = decode_reply(&self.come[end..end + length]);
        self.come.drain(..end + length);
        Ok(Some(reply??))
    }

    /// Sends a message, and waits for the answer.
    ///
    /// # Errors
    ///
    /// As of both.
    pub fn ask(
        &mut self,
        authorization: &str,
        message: &Message,
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        self.send(authorization, message, body)?;
        loop {
            poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], None)?;
            if let Some(answer) = self.receive()? {
                return Ok(answer);
            }
        }
    }
}

/// Many connections, of which some have been answered.
#[derive(Debug)]
pub struct Wires {
    all: Vec<Wire>,
    epoll: OwnedFd,
}

impl Wires {
    /// Opens so many.
    ///
    /// # Errors
    ///
    /// The coordinator is not reached.
    pub fn open(server: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut all = Vec::new();
        for at in 0..count {
            let wire = Wire::open(server)?;
            let data = epoll::EventData::new_u64(at as u64);
            epoll::add(&epoll, &wire.stream, data, epoll::EventFlags::IN)?;
            all.push(wire);
        }
        Ok(Self { all, epoll })
    }

    /// Sends a message on one of them.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub fn send(
        &mut self,
        at: usize,
        authorization: &str,
        message: &Message,
    ) -> anyhow::Result<()> {
        self.all[at].send(authorization, message, &[])
    }

    /// Waits for answers for at most so long, and hands each to `take` with the number of its connection; how many there were.
    ///
    /// # Errors
    ///
    /// A connection broke, the coordinator refuses, or `take` fails.
    pub fn answers(
        &mut self,
        wait: Duration,
        mut take: impl FnMut(&mut Self, usize, Answer) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let wait = Timespec {
            tv_sec: i64::try_from(wait.as_secs())?,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let mut events = Vec::with_capacity(self.all.len());
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&wait))?;
        let mut count = 0;
        for event in events {
            let at = usize::try_from(event.data.u64())?;
            if at >= self.all.len() {
                bail!("there is no connection {at}");
            }
            if let Some(answer) = self.all[at].receive()? {
                take(self, at, answer)?;
                count += 1;
            }
        }
        Ok(count)
    }
}
