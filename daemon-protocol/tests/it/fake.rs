//! A scripted guix-daemon.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use grange_daemon_protocol::wire::{DAEMON_MAGIC, Request};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;

pub(crate) const NEXT: u64 = 0x6f6c_6d67;
pub(crate) const WRITE: u64 = 0x6461_7416;
pub(crate) const LAST: u64 = 0x616c_7473;
pub(crate) const ERROR: u64 = 0x6378_7470;
const READ: u64 = 0x6461_7461;

/// What it does.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) version: u64,
    /// What it knows.
    pub(crate) valid: Mutex<BTreeSet<String>>,
    /// What it says to each request for a build; the last one again and again.
    pub(crate) builds: Mutex<Vec<Vec<u8>>>,
    /// What it was asked to keep.
    pub(crate) rooted: Mutex<BTreeSet<String>>,
    /// Each collection of garbage that it was asked for.
    pub(crate) collected: Mutex<Vec<Collected>>,
    /// What becomes valid with a build.
    pub(crate) made: Vec<String>,
    /// The nar that each item has.
    pub(crate) nar: Vec<u8>,
    /// In base 16.
    pub(crate) nar_hash: String,
    /// How many bytes it says in all, before it closes whatever is open; and whether it says nothing more instead.
    pub(crate) budget: Option<usize>,
    pub(crate) stall: bool,
}

/// What a collection of garbage was to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) action: u64,
    /// What it was asked to keep by then.
    pub(crate) kept: BTreeSet<String>,
    pub(crate) bytes: u64,
}

/// Runs until it is dropped.
pub(crate) struct Fake {
    pub(crate) socket: PathBuf,
    pub(crate) script: Arc<Script>,
    pub(crate) connections: Arc<AtomicUsize>,
    said: Arc<AtomicUsize>,
    task: AbortHandle,
    _directory: TempDir,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    pub(crate) fn start(mut script: Script) -> Self {
        if script.version == 0 {
            script.version = 0x164;
        }
        let directory = TempDir::new().unwrap();
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let script = Arc::new(script);
        let connections = Arc::new(AtomicUsize::new(0));
        let said = Arc::new(AtomicUsize::new(0));
        let (one, count, budget) = (
            Arc::clone(&script),
            Arc::clone(&connections),
            Arc::clone(&said),
        );
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let talk = Talk {
                    stream,
                    script: Arc::clone(&one),
                    said: Arc::clone(&budget),
                };
                // It ends with an error when the client goes.
                tokio::spawn(async move { talk.run().await.ok() });
            }
        });
        Self {
            socket,
            script,
            connections,
            said,
            task: task.abort_handle(),
            _directory: directory,
        }
    }

    /// How many bytes it has said.
    pub(crate) fn said(&self) -> usize {
        self.said.load(Ordering::Relaxed)
    }
}

/// One connection.
struct Talk {
    stream: UnixStream,
    script: Arc<Script>,
    said: Arc<AtomicUsize>,
}

impl Talk {
    async fn run(mut self) -> io::Result<()> {
        self.number().await?;
        let mut hello = Request::empty();
        hello.number(DAEMON_MAGIC).number(self.script.version);
        self.say(&hello).await?;
        for _ in 0..3 {
            self.number().await?;
        }
        let mut last = Request::empty();
        last.number(LAST);
        self.say(&last).await?;
        loop {
            let operation = self.number().await?;
            let answer = self.answer(operation).await?;
            self.say(&answer).await?;
        }
    }

    async fn answer(&mut self, operation: u64) -> io::Result<Request> {
        let mut answer = Request::empty();
        match operation {
            8 => {
                self.string().await?;
                self.string().await?;
                self.strings().await?;
                let derivation = self.script.made[0].clone();
                answer.number(LAST).bytes(derivation.as_bytes());
            }
            9 => {
                self.strings().await?;
                self.number().await?;
                return Ok(self.build());
            }
            11 => {
                let path = self.string().await?;
                self.script.rooted.lock().unwrap().insert(path);
                answer.number(LAST).number(1);
            }
            16 => {
                self.string().await?;
                self.number().await?;
                let mut whole = Request::empty();
                whole.number(0x4558_494e).bytes(b"trailer");
                let bytes = [&self.script.nar[..], whole.as_bytes()].concat();
                for piece in bytes.chunks(100) {
                    answer.number(WRITE).bytes(piece);
                }
                answer.number(LAST).number(1);
            }
            19 => {
                for _ in 0..9 {
                    self.number().await?;
                }
                let pairs = self.number().await?;
                for _ in 0..2 * pairs {
                    self.string().await?;
                }
                answer.number(LAST);
            }
            20 => {
                let action = self.number().await?;
                self.strings().await?;
                self.number().await?;
                let bytes = self.number().await?;
                for _ in 0..3 {
                    self.number().await?;
                }
                let kept = self.script.rooted.lock().unwrap().clone();
                let mut collected = self.script.collected.lock().unwrap();
                collected.push(Collected {
                    action,
                    kept,
                    bytes,
                });
                answer.number(LAST).number(1).bytes(b"anything");
                answer.number(4242).number(0);
            }
            26 => {
                self.string().await?;
                answer.number(LAST).bytes(b"");
                answer.bytes(self.script.nar_hash.as_bytes()).number(0);
                answer.number(1).number(self.script.nar.len() as u64);
            }
            27 => {
                // All of it at once.
                let mut wanted = Request::empty();
                wanted.number(READ).number(1 << 20);
                loop {
                    self.say(&wanted).await?;
                    if self.string().await?.is_empty() {
                        break;
                    }
                }
                answer.number(LAST).number(0);
            }
            31 => {
                let asked = self.strings().await?;
                let valid = self.script.valid.lock().unwrap();
                let known: Vec<_> = asked.iter().filter(|it| valid.contains(*it)).collect();
                answer.number(LAST).number(known.len() as u64);
                for path in known {
                    answer.bytes(path.as_bytes());
                }
            }
            _ => {
                let message = format!("invalid operation {operation}");
                answer.number(ERROR).bytes(message.as_bytes()).number(1);
            }
        }
        Ok(answer)
    }

    fn build(&self) -> Request {
        let mut builds = self.script.builds.lock().unwrap();
        let bytes = if builds.len() > 1 {
            builds.remove(0)
        } else {
            builds.first().cloned().unwrap_or_default()
        };
        let made = self.script.made.iter().cloned();
        self.script.valid.lock().unwrap().extend(made);
        let mut answer = Request::empty();
        for number in bytes.chunks_exact(8) {
            answer.number(u64::from_le_bytes(number.try_into().unwrap()));
        }
        answer
    }

    /// Says as much as it may.
    async fn say(&mut self, words: &Request) -> io::Result<()> {
        let bytes = words.as_bytes();
        let before = self.said.fetch_add(bytes.len(), Ordering::Relaxed);
        let left = self
            .script
            .budget
            .map_or(bytes.len(), |budget| budget.saturating_sub(before));
        self.stream
            .write_all(&bytes[..left.min(bytes.len())])
            .await?;
        if left < bytes.len() {
            if self.script.stall {
                std::future::pending::<()>().await;
            }
            return Err(io::ErrorKind::Other.into());
        }
        Ok(())
    }

    async fn number(&mut self) -> io::Result<u64> {
        self.stream.read_u64_le().await
    }

    async fn string(&mut self) -> io::Result<String> {
        let length = usize::try_from(self.number().await?).unwrap();
        let mut bytes = vec![0; length.next_multiple_of(8)];
        self.stream.read_exact(&mut bytes).await?;
        bytes.truncate(length);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn strings(&mut self) -> io::Result<Vec<String>> {
        let count = self.number().await?;
        let mut strings = Vec::new();
        for _ in 0..count {
            strings.push(self.string().await?);
        }
        Ok(strings)
    }
}

/// What a daemon says while it builds, and in the end.
pub(crate) fn log(pieces: &[&str], end: &[u64]) -> Vec<u8> {
    let mut said = Request::empty();
    for piece in pieces {
        said.number(NEXT).bytes(piece.as_bytes());
    }
    for number in end {
        said.number(*number);
    }
    said.as_bytes().to_vec()
}

/// An error at the end.
pub(crate) fn error(pieces: &[&str], message: &str, status: u64) -> Vec<u8> {
    let mut said = Request::empty();
    said.number(ERROR).bytes(message.as_bytes()).number(status);
    [log(pieces, &[]), said.as_bytes().to_vec()].concat()
}
