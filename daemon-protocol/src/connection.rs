//! One connection.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use grange_derivation::StorePath;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::dialect::{Introduction, Speech};
use crate::error::DaemonError;
use crate::wire::{
    CLIENT_MAGIC, Cursor, DAEMON_MAGIC, Frame, Opcode, ReadError, Request, Version, WireError,
};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;
/// The most bytes of an answer that are held: [`crate::wire::MAX_TEXT`] and what stands around it, or a list of a
/// hundred thousand paths.
const MAX_ANSWER: u64 = 20 << 20;
/// Before one comes again.
const AGAIN: Duration = Duration::from_millis(5);

/// A connection to a daemon, greeted. After an error its place in the stream is unknown: it is of no use any more.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    /// What has come and has not been read yet.
    input: BytesMut,
    speech: &'static dyn Speech,
    version: Version,
    introduction: Introduction,
    patience: Duration,
}

impl Connection {
    /// Connects and greets.
    pub(crate) async fn open(
        socket: &Path,
        speech: &'static dyn Speech,
        patience: Duration,
    ) -> Result<Self, DaemonError> {
        let unreachable = |error: io::Error| DaemonError::Unreachable {
            socket: socket.display().to_string(),
            why: error.to_string(),
        };
        let stream = timeout(patience, connect(socket))
            .await
            .map_err(|_| stalled(patience))?
            .map_err(unreachable)?;
        let mut connection = Self {
            stream,
            input: BytesMut::new(),
            speech,
            version: speech.newest(),
            introduction: Introduction::default(),
            patience,
        };
        connection.greet().await?;
        Ok(connection)
    }

    async fn greet(&mut self) -> Result<(), DaemonError> {
        let mut hello = Request::empty();
        hello.number(CLIENT_MAGIC);
        self.send(&hello).await?;
        let (magic, spoken) = self
            .read(|cursor| {
                let magic = cursor.number()?;
                if magic == DAEMON_MAGIC {
                    Ok((magic, Version(cursor.number()?)))
                } else {
                    Ok((magic, Version(0)))
                }
            })
            .await?;
        if magic != DAEMON_MAGIC {
            return Err(WireError::Magic(magic).into());
        }
        let speech = self.speech;
        if !speech.knows(spoken) {
            return Err(DaemonError::Version {
                spoken,
                known: speech.known(),
            });
        }
        let version = spoken.min(speech.newest());
        self.version = version;
        let mut introduction = Request::empty();
        introduction.number(speech.newest().0);
        speech.introduce(version, &mut introduction);
        self.send(&introduction).await?;
        self.introduction = self
            .read(|cursor| speech.introduction(version, cursor))
            .await?;
        self.settle().await
    }

    /// What the daemon said of itself.
    pub(crate) const fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// The daemon may be silent for so long.
    pub(crate) const fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The version that both speak.
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// Whether it can be used: a daemon that is gone has closed it, and one that speaks without being asked has lost its
    /// place.
    pub(crate) fn is_usable(&self) -> bool {
        let mut byte = [0];
        let nothing = self.stream.try_read(&mut byte);
        self.input.is_empty()
            && matches!(nothing, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether everything that has come has been read.
    pub(crate) fn is_drained(&self) -> bool {
        self.input.is_empty()
    }

    /// Says something.
    pub(crate) async fn send(&mut self, request: &Request) -> Result<(), DaemonError> {
        self.send_bytes(request.as_bytes()).await
    }

    /// Says something.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), DaemonError> {
        let sent = timeout(self.patience, self.stream.write_all(bytes)).await;
        match sent.map_err(|_| stalled(self.patience))? {
            Ok(()) => Ok(()),
            // It may have said why.
            Err(error) => Err(self
                .last_words()
                .await
                .unwrap_or_else(|| DaemonError::io(&error))),
        }
    }

    /// The error that a daemon sends before it closes.
    async fn last_words(&mut self) -> Option<DaemonError> {
        // The first thing that the system says of a connection that was closed on unread data is that it was reset; what
        // had come before can be read after that.
        let mut resets = 0;
        while resets < 2 {
            match self.frame().await {
                Ok(Frame::Error { message, status }) => {
                    return Some(DaemonError::Refused { message, status });
                }
                Ok(_) => {}
                Err(_) => resets += 1,
            }
        }
        None
    }

    /// Reads something, waiting until it has come whole.
    pub(crate) async fn read<T>(
        &mut self,
        mut read: impl FnMut(&mut Cursor<'_>) -> Result<T, ReadError>,
    ) -> Result<T, DaemonError> {
        loop {
            let mut cursor = Cursor::new(&self.input);
            match read(&mut cursor) {
                Ok(value) => {
                    let end = cursor.position();
                    self.input.advance(end);
                    return Ok(value);
                }
                Err(ReadError::Bad(error)) => return Err(error.into()),
                Err(ReadError::Incomplete) => self.fill().await?,
            }
        }
    }

    /// At most `most` bytes as they come; `most` is not 0.
    pub(crate) async fn read_raw(&mut self, most: u64) -> Result<Bytes, DaemonError> {
        if self.input.is_empty() {
            self.fill().await?;
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(self.input.split_to(count.min(self.input.len())).freeze())
    }

    async fn fill(&mut self) -> Result<(), DaemonError> {
        let length = self.input.len() as u64;
        if length > MAX_ANSWER {
            let what = "an answer";
            let limit = MAX_ANSWER;
            return Err(WireError::TooLong {
                what,
                length,
                limit,
            }
            .into());
        }
        self.input.reserve(PIECE);
        let read = timeout(self.patience, self.stream.read_buf(&mut self.input)).await;
        match read.map_err(|_| stalled(self.patience))? {
            Ok(0) => Err(DaemonError::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(DaemonError::io(&error)),
        }
    }

    /// The next message.
    pub(crate) async fn frame(&mut self) -> Result<Frame, DaemonError> {
        let structured = self.speech.structured(self.version);
        self.read(|cursor| Frame::read(cursor, structured)).await
    }

    /// The next message that is not about how it goes: `LAST`, `READ` or `WRITE`. An error is one here.
    pub(crate) async fn turn(&mut self) -> Result<Frame, DaemonError> {
        loop {
            match self.frame().await? {
                Frame::Error { message, status } => {
                    return Err(DaemonError::Refused { message, status });
                }
                Frame::Next(text) => {
                    tracing::debug!(text = %text.escape_ascii(), "the daemon says")
                }
                Frame::StartActivity { .. } | Frame::StopActivity(_) | Frame::Result { .. } => {}
                frame @ (Frame::Last | Frame::Read(_) | Frame::Write(_)) => return Ok(frame),
            }
        }
    }

    /// Waits for the result of an operation that neither asks for data nor sends any.
    pub(crate) async fn settle(&mut self) -> Result<(), DaemonError> {
        match self.turn().await? {
            Frame::Last => Ok(()),
            frame => Err(WireError::Misplaced(frame.name()).into()),
        }
    }

    /// Asks and waits for the result.
    pub(crate) async fn call(&mut self, request: &Request) -> Result<(), DaemonError> {
        self.send(request).await?;
        self.settle().await
    }

    /// Asks and reads the result.
    pub(crate) async fn ask<T>(
        &mut self,
        request: &Request,
        read: impl FnMut(&mut Cursor<'_>) -> Result<T, ReadError>,
    ) -> Result<T, DaemonError> {
        self.call(request).await?;
        self.read(read).await
    }

    /// Keeps an item from garbage collection while this connection is open.
    pub(crate) async fn add_temp_root(&mut self, path: &StorePath) -> Result<(), DaemonError> {
        let mut request = Request::new(Opcode::AddTempRoot);
        request.path(path);
        self.ask(&request, |cursor| cursor.number()).await.map(drop)
    }
}

/// Connects. A daemon lets only a few clients wait, guix-daemon five; who comes then is told to come again.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(AGAIN).await,
            connected => return connected,
        }
    }
}

fn stalled(patience: Duration) -> DaemonError {
    DaemonError::Stalled {
        seconds: patience.as_secs(),
    }
}
