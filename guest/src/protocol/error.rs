//! What can be wrong with bytes from the other end.

use super::frame::Kind;

/// Why what the other end sent is no part of a conversation. It is the other end's turn, always.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// No frame begins where one should.
    #[error("no frame begins with byte {0:#04x}")]
    Magic(u8),
    /// A kind of frame that this version does not know.
    #[error("frames of kind {0} are unknown")]
    Kind(u8),
    /// There are channels 0 and 1.
    #[error("there is no channel {0}")]
    Channel(u8),
    /// Bytes that have to be zero are not.
    #[error("reserved bytes of a frame's head are not zero")]
    Reserved,
    /// A frame about the whole conversation names a stream, or one about a stream names none.
    #[error("a frame of kind {kind:?} must not be about stream {stream}")]
    Stream {
        /// The frame's kind.
        kind: Kind,
        /// The stream that it names.
        stream: u32,
    },
    /// The payload is longer or shorter than that of such a frame may be.
    #[error("a frame of kind {kind:?} has {length} bytes of payload")]
    Length {
        /// The frame's kind.
        kind: Kind,
        /// Bytes of payload that it announces.
        length: u32,
    },
    /// Where the frame should end, it does not: half of it is missing.
    #[error("a frame of kind {0:?} does not end where it said")]
    End(Kind),
    /// The payload is not the JSON that it should be.
    #[error("a frame of kind {kind:?} carries what cannot be read: {reason}")]
    Payload {
        /// The frame's kind.
        kind: Kind,
        /// What the JSON parser says.
        reason: String,
    },
    /// A frame that this end never gets, or not now.
    #[error("a frame of kind {kind:?} for stream {stream} came out of turn")]
    Unexpected {
        /// The frame's kind.
        kind: Kind,
        /// The stream that it names.
        stream: u32,
    },
    /// More data than there was credit for.
    #[error("stream {0} brought more data than it had credit for")]
    Window(u32),
    /// More credit than there can be.
    #[error("stream {0} got more credit than a window has")]
    Credit(u32),
    /// The versions that the ends speak do not meet.
    #[error("version {0} of the protocol is not spoken here")]
    Version(u32),
}
