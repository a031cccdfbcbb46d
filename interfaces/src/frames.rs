//! Derivations in a body: path and text of each, with their lengths.

use std::{fmt, io};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;

use crate::Body;

/// The most bytes of a path.
const PATH: usize = 4_096;

/// Reads the derivations of a body, such as that of [`Message::PutDerivations`](crate::message::Message::PutDerivations).
pub struct Frames {
    body: Body,
    buffer: BytesMut,
    largest: usize,
}

/// Why there is no next derivation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It is larger than is taken.
    #[error("a part of the body has {length} bytes; at most {largest} are taken")]
    TooLarge {
        /// In bytes.
        length: usize,
        /// In bytes.
        largest: usize,
    },
    /// The body ended.
    #[error("the body ends in the middle of a derivation")]
    Cut,
    /// The body broke off.
    #[error("the body broke off")]
    Body(#[source] io::Error),
}

impl Frames {
    /// Reads texts of at most `largest` bytes.
    #[must_use]
    pub fn new(body: Body, largest: usize) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            largest,
        }
    }

    /// The next path and text; none where the body ends.
    ///
    /// # Errors
    ///
    /// The body breaks off, ends within a derivation, or has one that is too large.
    pub async fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, FrameError> {
        if !self.want(1).await? {
            return Ok(None);
        }
        let path = self.part(PATH).await?;
        let text = self.part(self.largest).await?;
        Ok(Some((path, text)))
    }

    async fn part(&mut self, largest: usize) -> Result<Bytes, FrameError> {
        self.need(4).await?;
        let length = self.buffer.get_u32() as usize;
        if length > largest {
            return Err(FrameError::TooLarge { length, largest });
        }
        self.need(length).await?;
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn need(&mut self, count: usize) -> Result<(), FrameError> {
        match self.want(count).await? {
            true => Ok(()),
            false => Err(FrameError::Cut),
        }
    }

    /// Whether so many bytes are there before the body ends.
    async fn want(&mut self, count: usize) -> Result<bool, FrameError> {
        while self.buffer.len() < count {
            match self.body.next().await {
                Some(Ok(piece)) => self.buffer.extend_from_slice(&piece),
                Some(Err(error)) => return Err(FrameError::Body(error)),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("held", &self.buffer.len())
            .finish_non_exhaustive()
    }
}

/// A derivation for such a body.
///
/// # Errors
///
/// [`io::ErrorKind::FileTooLarge`] if its text has 4 GiB or more.
pub fn frame(path: &str, text: &[u8]) -> io::Result<Bytes> {
    let mut frame = BytesMut::with_capacity(8 + path.len() + text.len());
    for part in [path.as_bytes(), text] {
        let length = u32::try_from(part.len());
        let length = length
            .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "it has 4 GiB or more"))?;
        frame.put_u32(length);
        frame.put_slice(part);
    }
    Ok(frame.freeze())
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};

    use super::*;

    fn read(pieces: &[&[u8]], largest: usize) -> Result<Vec<(Bytes, Bytes)>, FrameError> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|it| Ok(Bytes::copy_from_slice(it)))
            .collect();
        let mut frames = Frames::new(stream::iter(pieces).boxed(), largest);
        let mut all = Vec::new();
        while let Some(frame) = frames.next().now_or_never().unwrap()? {
            all.push(frame);
        }
        Ok(all)
    }

    #[test]
    fn pieces_may_be_cut_anywhere() {
        let (one, other) = (
            frame("/one", b"text").unwrap(),
            frame("/other", b"").unwrap(),
        );
        let whole = [&one[..], &other].concat();
        assert_eq!(one, b"\0\0\0\x04/one\0\0\0\x04text"[..]);
        for cut in 0..=whole.len() {
            let (begin, end) = whole.split_at(cut);
            let read_all = read(&[begin, end], 4).unwrap();
            let expected = [(&b"/one"[..], &b"text"[..]), (b"/other", b"")];
            assert_eq!(
                read_all,
                expected.map(|(path, text)| (path.into(), text.into()))
            );
            match read(&[begin], 4) {
                Err(FrameError::Cut) => {}
                Ok(frames) => {
                    let ends = [0, one.len(), whole.len()];
                    assert_eq!(Some(frames.len()), ends.iter().position(|it| *it == cut));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn what_is_too_large_is_not_waited_for() {
        let text = frame("/one", b"text").unwrap();
        for (bytes, length, largest) in [
            (&text[..12], 4, 3),
            (b"\0\0\x10\x01", 0x1001, PATH),
            (b"\xff\xff\xff\xff", u32::MAX as usize, PATH),
        ] {
            match read(&[bytes], 3) {
                Err(FrameError::TooLarge {
                    length: said,
                    largest: most,
                }) => assert_eq!((said, most), (length, largest)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_body_that_breaks_off_says_why() {
        let broken = stream::iter([Err(io::ErrorKind::ConnectionReset.into())]).boxed();
        let error = Frames::new(broken, 1).next().now_or_never().unwrap();
        assert!(matches!(error, Err(FrameError::Body(_))), "{error:?}");
    }
}
