//! Moves frames between a stream of bytes and a conversation.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::mux::{Ended, Mux, Opened};
use crate::protocol::{
    BREAK, Decoder, Frame, Hello, Kind, NONCE, Nonce, ProtocolError, VERSION, Welcome,
};

/// How long what is left to be said at the end of a conversation may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes that are read at once.
const READ: usize = 64 * 1024;

/// Says hello and waits for the answer, for as long as that takes.
pub(super) async fn greet(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<(Decoder, Welcome), Ended> {
    let nonce: Nonce = rand::random();
    let mut decoder = Decoder::host(nonce);
    let hello = hello(nonce)?;
    let write = async {
        writer.write_all(&hello).await?;
        writer.flush().await
    };
    // A guest that is in the middle of writing may have to be read from before it reads. And one that answers has read
    // the hello, so there is nothing left to be written then.
    let frame = {
        let mut read = std::pin::pin!(next(reader, &mut decoder));
        tokio::select! {
            frame = &mut read => frame,
            written = write => match written {
                Ok(()) => read.await,
                Err(error) => Err(io_ended(error)),
            },
        }?
    };
    let welcome: Welcome = json(
        Kind::Welcome,
        frame.payload.get(NONCE..).unwrap_or_default(),
    )?;
    if welcome.version == 0 || welcome.version > VERSION {
        return Err(ProtocolError::Version(welcome.version).into());
    }
    Ok((decoder, welcome))
}

/// A break and a hello, as bytes.
fn hello(nonce: Nonce) -> Result<Vec<u8>, Ended> {
    let kind = Kind::Hello;
    let payload = serde_json::to_vec(&Hello::current()).map_err(|error| payload(kind, &error))?;
    let mut bytes = vec![0; BREAK];
    Frame::new(kind, 0, [nonce.as_slice(), &payload].concat()).encode(&mut bytes)?;
    Ok(bytes)
}

/// Carries a conversation on until it ends, and says why it did. `leave` is ready when this end wants no more of it.
pub(super) async fn drive(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    mut decoder: Decoder,
    mux: &Arc<Mux>,
    opened: impl FnMut(Opened),
    leave: impl Future<Output = ()>,
) -> Ended {
    let mut send = std::pin::pin!(send(writer, mux));
    let farewell = tokio::select! {
        ended = receive(reader, &mut decoder, mux, opened) => {
            let farewell = match &ended {
                Ended::Protocol(error) => Some(Frame::broken(&error.to_string())),
                _ => None,
            };
            mux.end(ended, farewell);
            true
        }
        sent = &mut send => {
            mux.end(sent.map_or_else(io_ended, |()| Ended::Dropped), None);
            false
        }
        () = leave => {
            mux.drain();
            true
        }
    };
    if farewell {
        // Whether it gets there is the other end's business.
        drop(tokio::time::timeout(FAREWELL, send).await);
        mux.end(Ended::Dropped, None);
    }
    mux.ended().unwrap_or(Ended::Dropped)
}

/// Takes what comes until nothing more does.
async fn receive(
    reader: &mut (impl AsyncRead + Unpin),
    decoder: &mut Decoder,
    mux: &Mux,
    mut opened: impl FnMut(Opened),
) -> Ended {
    loop {
        let handled = match next(reader, decoder).await {
            Ok(frame) => mux.handle(frame),
            Err(ended) => return ended,
        };
        match handled {
            Ok(None) => {}
            Ok(Some(stream)) => opened(stream),
            Err(error) => return error.into(),
        }
        if let Some(ended) = mux.ended() {
            return ended;
        }
    }
}

/// Sends what there is to send until there will be no more.
async fn send(writer: &mut (impl AsyncWrite + Unpin), mux: &Mux) -> io::Result<()> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| mux.poll_transmit(cx)).await {
        bytes.clear();
        frame.encode(&mut bytes).map_err(io::Error::other)?;
        writer.write_all(&bytes).await?;
        writer.flush().await?;
    }
    Ok(())
}

/// The next frame.
async fn next(
    reader: &mut (impl AsyncRead + Unpin),
    decoder: &mut Decoder,
) -> Result<Frame, Ended> {
    let mut bytes = Vec::new();
    loop {
        if let Some(frame) = decoder.next_frame()? {
            return Ok(frame);
        }
        bytes.resize(READ, 0);
        match reader.read(&mut bytes).await {
            Ok(0) => return Err(Ended::Eof),
            Ok(count) => decoder.push(&bytes[..count]),
            Err(error) => return Err(io_ended(error)),
        }
    }
}

fn json<T: serde::de::DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<T, ProtocolError> {
    serde_json::from_slice(bytes).map_err(|error| payload(kind, &error))
}

fn payload(kind: Kind, error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Payload {
        kind,
        reason: error.to_string(),
    }
}

fn io_ended(error: io::Error) -> Ended {
    Ended::Io(Arc::new(error))
}
