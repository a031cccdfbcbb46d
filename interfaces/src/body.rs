//! Streams of bytes.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

/// Bytes as they come. Never held whole: a nar may be larger than memory.
pub type Body = BoxStream<'static, io::Result<Bytes>>;

/// A body without bytes.
#[must_use]
pub fn empty_body() -> Body {
    stream::empty().boxed()
}

/// All of a body that may have at most `limit` bytes.
///
/// # Errors
///
/// Those of the body; [`io::ErrorKind::FileTooLarge`] if there are more bytes.
pub async fn bytes_of(mut body: Body, limit: usize) -> io::Result<Bytes> {
    let mut all = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if all.len() + chunk.len() > limit {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("the body has more than {limit} bytes"),
            ));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}
