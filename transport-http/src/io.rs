//! Any stream of bytes, behind one type.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream that HTTP can be spoken over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One type for all of them: what a call through it costs is nothing beside the system call, and
/// HTTP is compiled once.
pub(crate) type BoxIo = Box<dyn Io>;
