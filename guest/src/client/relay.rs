//! The host's end of a relay: connections that programs in the guest make, carried on to where they are to go.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::drive::{drive, greet};
use super::error::ClientError;
use super::tenant::{Reader, Tenant, Writer};
use crate::mux::{Ended, MAX_STREAMS, Mode, Mux, Side};

/// How long to wait for the answer to the first hello before another is said.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
/// The longest that is waited.
const LONGEST_PATIENCE: Duration = Duration::from_secs(64);
/// How long after a conversation that was broken the next begins.
const PAUSE: Duration = Duration::from_millis(100);

/// Carries each connection that is made to `grange-guest relay` in the guest on to what `connect` gives; `stream` is the host's
/// end of the relay's port. Returns when that is closed or fails, and why.
///
/// The program in the guest may be started later, and again: its connections are cut then, and new ones work. Dropped,
/// all connections are cut. A connection that `connect` cannot make is closed in the guest.
///
/// At most 256 connections are carried at once, and at most 320 KiB of memory are held for each.
pub async fn relay<S, C, F, T>(stream: S, connect: C) -> ClientError
where
    S: AsyncRead + AsyncWrite + Send,
    C: Fn() -> F,
    F: Future<Output = io::Result<T>> + Send + 'static,
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    loop {
        match converse(&mut reader, &mut writer, &connect).await {
            Ended::Eof => return ClientError::Eof,
            Ended::Io(error) => return ClientError::Io(error),
            // The program in the guest was started again, or it broke something: begin again.
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// One conversation.
async fn converse<S, C, F, T>(
    reader: &mut ReadHalf<S>,
    writer: &mut WriteHalf<S>,
    connect: &C,
) -> Ended
where
    S: AsyncRead + AsyncWrite,
    C: Fn() -> F,
    F: Future<Output = io::Result<T>> + Send + 'static,
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut patience = FIRST_PATIENCE;
    let decoder = loop {
        // If a program read the hello and ended before it answered, the next one does not know of it.
        match tokio::time::timeout(patience, greet(reader, writer)).await {
            Ok(Ok((decoder, _))) => break decoder,
            Ok(Err(ended)) => return ended,
            Err(_) => patience = (patience * 2).min(LONGEST_PATIENCE),
        }
    };
    let mux = Arc::new(Mux::new(Side::Accepter, Mode::Relay));
    let (open, mut opened) = mpsc::channel(MAX_STREAMS);
    let accept = |stream: crate::mux::Opened| {
        let tenant = Tenant::of(&mux, stream.stream);
        // If there is no room, it is closed by being dropped.
        drop(open.try_send(tenant));
    };
    let mut connections = JoinSet::new();
    let mut driven = std::pin::pin!(drive(
        reader,
        writer,
        decoder,
        &mux,
        accept,
        std::future::pending()
    ));
    loop {
        tokio::select! {
            ended = &mut driven => return ended,
            Some(tenant) = opened.recv() => {
                connections.spawn(carry(tenant, connect()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection. When it is cut at either end, the other is.
async fn carry<T: AsyncRead + AsyncWrite>(
    tenant: Arc<Tenant>,
    connect: impl Future<Output = io::Result<T>>,
) -> io::Result<()> {
    let (mut inside, mut from_guest) = (Writer::new(&tenant), Reader::new(&tenant, 0));
    let there = tokio::select! {
        there = connect => there?,
        // The program did not want to wait.
        _ = tenant.answer() => return Ok(()),
    };
    let (mut from_there, mut there) = tokio::io::split(there);
    let to_guest = async {
        tokio::select! {
            copied = tokio::io::copy(&mut from_there, &mut inside) => copied?,
            // Nobody answers on a relay's port: the guest has closed the stream. What it sent before is still carried on.
            _ = tenant.answer() => return Ok(()),
        };
        inside.shutdown().await
    };
    let to_there = async {
        tokio::io::copy(&mut from_guest, &mut there).await?;
        there.shutdown().await
    };
    // The first that fails ends both: what is left is dropped, and so closed.
    tokio::try_join!(to_guest, to_there)?;
    Ok(())
}
