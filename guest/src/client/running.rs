//! A program that runs in a guest.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::error::ClientError;
use super::guest::Guest;
use super::tenant::{Reader, Tenant, Writer};
use crate::protocol::{Answer, Exit};

/// A program that runs in a guest. Dropped, it and its process group are killed.
///
/// Output that nobody reads stops the program when a window and a pipe are full of it. Output whose reader is dropped is thrown away.
#[derive(Debug)]
pub struct Running {
    /// Its input, if it was asked for. Dropped or shut down, the program reads the end of it.
    pub stdin: Option<Stdin>,
    /// What it writes.
    pub stdout: Option<Output>,
    /// What it writes on standard error.
    pub stderr: Option<Output>,
    guest: Guest,
    tenant: Arc<Tenant>,
    pid: u32,
    exit: Option<Exit>,
}

/// A program's input.
#[derive(Debug)]
pub struct Stdin(Writer);

/// A program's output. It ends when the program has, even if others that it started go on and could still write.
#[derive(Debug)]
pub struct Output(Reader);

/// All that a program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Captured {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it wrote on standard error.
    pub stderr: Vec<u8>,
}

impl Running {
    pub(super) fn new(guest: Guest, tenant: Arc<Tenant>, pid: u32, stdin: bool) -> Self {
        Self {
            stdin: stdin.then(|| Stdin(Writer::new(&tenant))),
            stdout: Some(Output(Reader::new(&tenant, 0))),
            stderr: Some(Output(Reader::new(&tenant, 1))),
            guest,
            tenant,
            pid,
            exit: None,
        }
    }

    /// Waits until the program has ended and all its output has come. Can be called again.
    ///
    /// Somebody has to read its outputs, or they have to be dropped.
    ///
    /// # Errors
    ///
    /// How the connection failed; the program is killed at the next hello then.
    pub async fn wait(&mut self) -> Result<Exit, ClientError> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        match self.tenant.answer().await? {
            Answer::Exited(exit) => Ok(*self.exit.insert(exit)),
            _ => Err(self.tenant.unexpected()),
        }
    }

    /// Sends a signal, by its number on Linux, to the program and its process group.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if the program has ended, or there is no such signal; otherwise how the connection failed.
    pub async fn kill(&self, signal: i32) -> Result<(), ClientError> {
        self.guest.kill(self.tenant.stream(), signal).await
    }

    /// Gives no (more) input, and collects what the program writes until it ends: at most `limit` bytes of each output.
    ///
    /// # Errors
    ///
    /// [`ClientError::TooMuch`] if it writes more, and it is killed then; otherwise how the connection failed.
    pub async fn output(mut self, limit: usize) -> Result<Captured, ClientError> {
        drop(self.stdin.take());
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = tokio::try_join!(collect(stdout, limit), collect(stderr, limit))?;
        let exit = self.wait().await?;
        Ok(Captured {
            exit,
            stdout,
            stderr,
        })
    }

    /// Its process id in the guest.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Also if others still have its outputs.
        self.tenant.close();
    }
}

/// Reads to the end. That the connection failed is left to be said by whoever waits for the exit.
async fn collect(output: Option<Output>, limit: usize) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    if let Some(output) = output {
        let most = limit as u64 + 1;
        let read = output.take(most).read_to_end(&mut bytes).await;
        if read.is_ok() && bytes.len() > limit {
            return Err(ClientError::TooMuch(limit as u64));
        }
    }
    Ok(bytes)
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
