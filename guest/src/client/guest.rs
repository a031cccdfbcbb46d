//! A guest, as its host sees it.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, watch};

use super::drive::{drive, greet};
use super::error::ClientError;
use super::running::Running;
use super::tenant::{Reader, Tenant, Writer};
use crate::mux::{Mode, Mux, Side};
use crate::protocol::{Answer, Digest, Exec, Put, Request, Welcome};

/// Bytes that are moved at once.
const PIECE: usize = 32 * 1024;

/// A conversation with a guest. Its clones are handles to the same; when the last is dropped, and no
/// [`Running`] is left either, it ends.
///
/// No call has a time limit of its own but [`Self::connect`]: wrap them as needed. Each may be dropped at any time; what it
/// asked for is then given up in the guest, too, as far as it is not done.
#[derive(Clone, Debug)]
pub struct Guest {
    inner: Arc<Inner>,
}

/// A file that came from a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Got {
    /// Bytes.
    pub size: u64,
    /// Their hash, computed here.
    pub sha256: Digest,
    /// Permissions.
    pub mode: u32,
}

#[derive(Debug)]
struct Inner {
    mux: Arc<Mux>,
    welcome: Welcome,
    leave: Arc<Notify>,
    ended: watch::Receiver<Option<ClientError>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.leave.notify_one();
    }
}

impl Guest {
    /// Says hello and waits until the guest answers, at most until `deadline`. The guest may still be booting.
    ///
    /// Everything of an earlier conversation on the guest's port is ended by that, its processes are killed.
    /// Must be called in a tokio runtime with I/O and time.
    ///
    /// # Errors
    ///
    /// [`ClientError::TimedOut`] at the deadline; otherwise how the connection failed.
    pub async fn connect<S>(stream: S, deadline: Instant) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let greeting = tokio::time::timeout_at(deadline.into(), greet(&mut reader, &mut writer));
        let (decoder, welcome) = greeting.await.map_err(|_| ClientError::TimedOut)??;
        let mux = Arc::new(Mux::new(Side::Opener, Mode::Control));
        let leave = Arc::new(Notify::new());
        let (end, ended) = watch::channel(None);
        let (their_mux, their_leave) = (Arc::clone(&mux), Arc::clone(&leave));
        tokio::spawn(async move {
            let leave = their_leave.notified();
            // Only the host opens streams here: the conversation refuses others.
            let opened = |_| {};
            let why = drive(&mut reader, &mut writer, decoder, &their_mux, opened, leave).await;
            end.send_replace(Some(why.into()));
        });
        let inner = Inner {
            mux,
            welcome,
            leave,
            ended,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What the guest said about itself at the beginning.
    #[must_use]
    pub fn welcome(&self) -> &Welcome {
        &self.inner.welcome
    }

    /// Whether the conversation is over. If not, that does not mean that the guest still answers: see [`Self::ping`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.mux.ended().is_some()
    }

    /// Waits until the conversation is over, and says why.
    pub async fn closed(&self) -> ClientError {
        let mut ended = self.inner.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or(ClientError::Closed),
            // The runtime is shutting down.
            Err(_) => ClientError::Closed,
        }
    }

    /// Ready when the guest has answered: it is alive.
    ///
    /// # Errors
    ///
    /// How the connection failed.
    pub async fn ping(&self) -> Result<(), ClientError> {
        self.done(Request::Ping).await
    }

    /// Starts a program, and waits until it has started.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if it cannot be started, [`ClientError::TooLong`] if arguments and environment do not fit
    /// into a frame; otherwise how the connection failed.
    pub async fn run(&self, exec: Exec) -> Result<Running, ClientError> {
        let stdin = exec.stdin;
        let tenant = self.open(&Request::Exec(exec))?;
        match tenant.answer().await? {
            Answer::Started { pid } => Ok(Running::new(self.clone(), tenant, pid, stdin)),
            _ => Err(tenant.unexpected()),
        }
    }

    /// Writes a file. When this returns, it is there under its name with exactly these bytes, but not necessarily durable.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if the guest cannot write it, or if `reader` gave other bytes than `put` says;
    /// [`ClientError::Source`] if `reader` failed; otherwise how the connection failed. The file is then as it was before.
    pub async fn put(&self, put: Put, reader: impl AsyncRead) -> Result<(), ClientError> {
        let tenant = self.open(&Request::Put(put))?;
        let mut reader = std::pin::pin!(reader);
        let mut writer = Writer::new(&tenant);
        let pump = async {
            let mut bytes = vec![0; PIECE];
            loop {
                let count = reader.read(&mut bytes).await.map_err(source)?;
                // If the guest takes no more, it says why in its answer.
                if count == 0 || writer.write_all(&bytes[..count]).await.is_err() {
                    return Ok::<(), ClientError>(());
                }
            }
        };
        let answer = tokio::select! {
            answer = tenant.answer() => answer,
            pumped = pump => {
                pumped?;
                drop(writer);
                tenant.answer().await
            }
        };
        match answer? {
            Answer::Done => Ok(()),
            _ => Err(tenant.unexpected()),
        }
    }

    /// Copies a regular file of the guest's, of at most `limit` bytes, to `writer`, and flushes it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if the guest cannot read it, [`ClientError::TooMuch`] if it is longer,
    /// [`ClientError::Sink`] if `writer` failed, [`ClientError::Corrupt`] if other bytes came than the guest sent;
    /// otherwise how the connection failed. Part of it may have been written then.
    pub async fn get(
        &self,
        path: impl Into<String>,
        writer: impl AsyncWrite,
        limit: u64,
    ) -> Result<Got, ClientError> {
        let tenant = self.open(&Request::Get { path: path.into() })?;
        let mut writer = std::pin::pin!(writer);
        let mut reader = Reader::new(&tenant, 0);
        let (mut size, mut hash) = (0_u64, Sha256::new());
        let mut bytes = vec![0; PIECE];
        // If the guest has no more, it says why in its answer.
        while let Ok(count @ 1..) = reader.read(&mut bytes).await {
            size += count as u64;
            if size > limit {
                return Err(ClientError::TooMuch(limit));
            }
            hash.update(&bytes[..count]);
            writer.write_all(&bytes[..count]).await.map_err(sink)?;
        }
        let Answer::Got {
            size: sent,
            sha256,
            mode,
        } = tenant.answer().await?
        else {
            return Err(tenant.unexpected());
        };
        if (sent, sha256) != (size, Digest::new(hash.finalize().into())) {
            return Err(ClientError::Corrupt);
        }
        writer.flush().await.map_err(sink)?;
        Ok(Got { size, sha256, mode })
    }

    /// Mixes bytes into the guest's random numbers, and has it draw a new key for them. For a clone, before anything
    /// else: with random bytes, from [`MIN_SEED`](crate::protocol::MIN_SEED) to [`MAX_SEED`](crate::protocol::MAX_SEED) of them.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if there are too few or too many, or the guest cannot; otherwise how the connection failed.
    pub async fn seed(&self, bytes: &[u8]) -> Result<(), ClientError> {
        let bytes = bytes.to_vec();
        self.done(Request::Seed { bytes }).await
    }

    /// Sets the guest's clock to this many milliseconds since 1970, UTC.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if the guest cannot; otherwise how the connection failed.
    pub async fn set_clock(&self, unix_ms: i64) -> Result<(), ClientError> {
        self.done(Request::Clock { unix_ms }).await
    }

    /// Has the guest end all, write what is not written and switch off. Returns when it begins to.
    ///
    /// # Errors
    ///
    /// How the connection failed.
    pub async fn power_off(&self) -> Result<(), ClientError> {
        self.done(Request::PowerOff).await
    }

    /// Sends a signal to the processes of a stream.
    pub(super) async fn kill(&self, stream: u32, signal: i32) -> Result<(), ClientError> {
        self.done(Request::Kill { stream, signal }).await
    }

    /// Asks for what is answered by one word.
    async fn done(&self, request: Request) -> Result<(), ClientError> {
        let tenant = self.open(&request)?;
        match tenant.answer().await? {
            Answer::Done => Ok(()),
            _ => Err(tenant.unexpected()),
        }
    }

    pub(super) fn open(&self, request: &Request) -> Result<Arc<Tenant>, ClientError> {
        Tenant::open(&self.inner.mux, request)
    }
}

fn source(error: io::Error) -> ClientError {
    ClientError::Source(Arc::new(error))
}

fn sink(error: io::Error) -> ClientError {
    ClientError::Sink(Arc::new(error))
}
