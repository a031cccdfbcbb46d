//! One frame, written down.

use super::error::ProtocolError;

/// What every frame begins with. The first byte is no text, and none of them is zero.
pub const MAGIC: [u8; 4] = [0xe7, b'G', b'r', b'g'];
/// What every frame ends with. Not zero, so that no break ends a frame.
pub const END: u8 = 0xa5;
/// Bytes before the payload.
pub const HEAD: usize = 16;
/// The most bytes of a payload.
pub const MAX_PAYLOAD: usize = 64 * 1024;
/// The most bytes of the payload of a hello and of the answer to it.
pub const MAX_HELLO: usize = 1024;
/// How many zeros are a break: as many as the longest frame has bytes.
pub const BREAK: usize = HEAD + MAX_PAYLOAD + 1;
/// Bytes of data that may be on their way on one channel of a stream, in each direction.
pub const WINDOW: u32 = 256 * 1024;
/// Bytes of a nonce.
pub const NONCE: usize = 16;

/// What a host makes up for each conversation, at random.
pub type Nonce = [u8; NONCE];

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// The host begins a conversation: nonce, then [`Hello`](super::Hello).
    Hello = 1,
    /// The guest's answer: the same nonce, then [`Welcome`](super::Welcome).
    Welcome = 2,
    /// A stream begins.
    Open = 3,
    /// The last [`Answer`](super::Answer) to what opened the stream, which is over with it.
    Answer = 4,
    /// Bytes of a channel, at least one.
    Data = 5,
    /// A channel's data is complete.
    End = 6,
    /// So many more bytes may be sent: four bytes, a number.
    Credit = 7,
    /// The sender has done with this stream; on the control port, its process is killed.
    Close = 8,
    /// The sender gives the conversation up: why, as text.
    Broken = 9,
    /// An [`Answer`](super::Answer) that is not the last.
    Progress = 10,
}

impl Kind {
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Open,
            4 => Self::Answer,
            5 => Self::Data,
            6 => Self::End,
            7 => Self::Credit,
            8 => Self::Close,
            9 => Self::Broken,
            10 => Self::Progress,
            _ => return None,
        })
    }

    /// Whether frames of this kind are about the whole conversation, not one stream.
    #[must_use]
    pub fn is_global(self) -> bool {
        matches!(self, Self::Hello | Self::Welcome | Self::Broken)
    }

    /// The most bytes that the payload may have, and the least.
    pub(super) fn lengths(self) -> (usize, usize) {
        match self {
            Self::Hello | Self::Welcome => (NONCE, MAX_HELLO),
            Self::Open | Self::Answer | Self::Progress => (0, MAX_PAYLOAD),
            Self::Data => (1, MAX_PAYLOAD),
            Self::End | Self::Close => (0, 0),
            Self::Credit => (4, 4),
            Self::Broken => (0, MAX_HELLO),
        }
    }
}

/// One frame. Exhaustive: it is what the table in the module's documentation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is about.
    pub kind: Kind,
    /// Which of the stream's channels, 0 or 1; 0 where that means nothing.
    pub channel: u8,
    /// Which stream; 0 if it is about the whole conversation, never otherwise.
    pub stream: u32,
    /// At most [`MAX_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame about the whole conversation, or about channel 0 of a stream.
    #[must_use]
    pub fn new(kind: Kind, stream: u32, payload: Vec<u8>) -> Self {
        Self {
            kind,
            channel: 0,
            stream,
            payload,
        }
    }

    /// Bytes of a channel.
    #[must_use]
    pub fn data(stream: u32, channel: u8, payload: Vec<u8>) -> Self {
        Self {
            kind: Kind::Data,
            channel,
            stream,
            payload,
        }
    }

    /// A channel's data is complete.
    #[must_use]
    pub fn end(stream: u32, channel: u8) -> Self {
        Self {
            kind: Kind::End,
            channel,
            stream,
            payload: Vec::new(),
        }
    }

    /// `bytes` more may be sent.
    #[must_use]
    pub fn credit(stream: u32, channel: u8, bytes: u32) -> Self {
        Self {
            kind: Kind::Credit,
            channel,
            stream,
            payload: bytes.to_be_bytes().to_vec(),
        }
    }

    /// Why the sender gives the conversation up. A long reason is cut.
    #[must_use]
    pub fn broken(reason: &str) -> Self {
        let end = reason.floor_char_boundary(MAX_HELLO);
        Self::new(Kind::Broken, 0, reason.as_bytes()[..end].to_vec())
    }

    /// The number in a [`Kind::Credit`]; 0 in any other frame.
    #[must_use]
    pub fn credited(&self) -> u32 {
        match (self.kind, <[u8; 4]>::try_from(self.payload.as_slice())) {
            (Kind::Credit, Ok(bytes)) => u32::from_be_bytes(bytes),
            _ => 0,
        }
    }

    /// Appends the frame to `out`.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Length`] if the payload is longer than a frame of this kind may have, or shorter. Nothing is appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        let (least, most) = self.kind.lengths();
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        if !(least..=most).contains(&self.payload.len()) {
            return Err(ProtocolError::Length {
                kind: self.kind,
                length,
            });
        }
        out.reserve(HEAD + self.payload.len() + 1);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.kind as u8, self.channel, 0, 0]);
        out.extend_from_slice(&self.stream.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.payload);
        out.push(END);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format does not change by accident.
    #[test]
    fn frames_are_written_so() {
        let mut bytes = Vec::new();
        Frame::data(0x0102_0304, 1, b"hi".to_vec())
            .encode(&mut bytes)
            .unwrap();
        let head = b"\xe7Grg\x05\x01\0\0\x01\x02\x03\x04\0\0\0\x02";
        assert_eq!(bytes, [head.as_slice(), b"hi\xa5"].concat());
        bytes.clear();
        Frame::credit(1, 0, 65_536).encode(&mut bytes).unwrap();
        let head = b"\xe7Grg\x07\0\0\0\0\0\0\x01\0\0\0\x04";
        assert_eq!(bytes, [head.as_slice(), b"\0\x01\0\0\xa5"].concat());
    }

    #[test]
    fn kinds_keep_their_numbers() {
        for byte in 0..=u8::MAX {
            match Kind::from_byte(byte) {
                Some(kind) => assert_eq!(kind as u8, byte),
                None => assert!(!(1..=10).contains(&byte)),
            }
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = Frame::broken(&"ü".repeat(MAX_HELLO));
        assert_eq!(frame.payload.len(), MAX_HELLO);
        let frame = Frame::broken(&format!("x{}", "ü".repeat(MAX_HELLO)));
        assert_eq!(frame.payload.len(), MAX_HELLO - 1);
    }
}
