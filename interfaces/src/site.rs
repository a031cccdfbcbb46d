//! What a server shows to whoever asks with GET or HEAD.

use std::fmt;
use std::fs::File;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use http::request::Parts;

use crate::Body;

/// What a page consists of.
pub enum SiteBody {
    /// Bytes that are there.
    Bytes(Bytes),
    /// Bytes as they come. Where the header `content-length` is there, they are as many as it says.
    Stream(Body),
    /// Part of a file: a server lets the kernel send it, where it can.
    File(FilePart),
}

/// Part of a file that does not change.
#[derive(Debug)]
pub struct FilePart {
    /// The file.
    pub file: File,
    /// Which bytes. All of them are there.
    pub range: Range<u64>,
}

impl SiteBody {
    /// How many bytes it has; none if only its end will show.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Stream(_) => None,
            Self::File(part) => Some(part.range.end.saturating_sub(part.range.start)),
        }
    }
}

impl fmt::Debug for SiteBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::File(part) => part.fmt(f),
        }
    }
}

/// Pages for strangers: no protocol of Grange's, no credentials.
///
/// # Contract
///
/// * Is asked with GET and HEAD only, and answers both alike: the server leaves a body out where
///   it has to.
/// * Answers everything, with a status that says what was wrong. Nothing in `head` was checked but
///   that it is HTTP within the server's limits.
/// * Where the length of a stream is known, the header `content-length` says it; that of other
///   bodies the server knows itself.
#[async_trait]
pub trait Site: Send + Sync + fmt::Debug {
    /// The answer to a request.
    async fn get(&self, head: &Parts) -> Response<SiteBody>;
}
