//! A nar as it comes: in time, decompressed, hashed, bounded.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::{HashAlgo, Hasher};
use grange_interfaces::{Body, ItemInfo};
use http::Uri;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::decoder::Decoder;
use crate::http::with_causes;
use crate::server::{Opened, Server};

/// How much a nar may grow by compression, beyond an eighth: what cannot be compressed grows a little.
const GROWTH: u64 = 1 << 20;

/// The fewest bytes a second, on average, that a nar may come with once its first wait is over.
const SLOWEST: u64 = 32 << 10;

/// A nar that comes.
#[derive(Debug)]
struct Download {
    server: Arc<Server>,
    info: ItemInfo,
    uri: Uri,
    incoming: Incoming,
    framed: bool,
    stall_time: Duration,
    /// None while it works elsewhere.
    work: Option<Work>,
    /// Compressed bytes.
    received: u64,
    /// Bytes of the nar.
    made: u64,
    /// How long the server was waited for.
    waited: Duration,
}

/// What takes time.
#[derive(Debug)]
struct Work {
    decoder: Box<Decoder>,
    hasher: Hasher,
}

/// What went wrong.
enum Broken {
    Lied(String),
    Off(String),
}

/// The nar, checked: its last bytes come only when size and hash are right.
pub(crate) fn body(
    server: Arc<Server>,
    info: ItemInfo,
    opened: Opened,
    stall_time: Duration,
) -> Body {
    let hasher = HashAlgo::Sha256.hasher();
    let hasher = hasher.expect("SHA-256 can be computed");
    let download = Download {
        server,
        info,
        uri: opened.uri,
        incoming: opened.incoming,
        framed: opened.framed,
        stall_time,
        work: Some(Work {
            decoder: Box::new(opened.decoder),
            hasher,
        }),
        received: 0,
        made: 0,
        waited: Duration::ZERO,
    };
    stream::try_unfold(download, Download::step).boxed()
}

impl Download {
    async fn step(mut self) -> io::Result<Option<(Bytes, Self)>> {
        match self.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, self))),
            // All of it came: what the connection does then is no matter.
            Err(Broken::Off(_)) if self.made == self.info.nar_size => Ok(None),
            Err(Broken::Off(why)) => {
                let error = self.server.broke(&self.info.path, &self.uri, &why);
                Err(io::Error::other(error))
            }
            Err(Broken::Lied(what)) => {
                let what = format!("the nar of {} {what}", self.info.path);
                let error = self.server.lied(&self.info.path, what);
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    /// The next piece of the nar.
    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            let idle = self
                .work
                .as_ref()
                .is_some_and(|work| work.decoder.is_idle());
            if !idle && let Some(piece) = self.decode().await? {
                return Ok(Some(piece));
            }
            let Some(input) = self.receive().await? else {
                let (made, size) = (self.made, self.info.nar_size);
                if made == size {
                    return Ok(None);
                }
                return Err(if self.framed {
                    Broken::Lied(format!("has {made} bytes, not {size}"))
                } else {
                    Broken::Off(format!("the nar ends after {made} of {size} bytes"))
                });
            };
            if let Some(work) = &mut self.work {
                work.decoder.feed(input);
            }
        }
    }

    /// What can be made of what came so far.
    async fn decode(&mut self) -> Result<Option<Bytes>, Broken> {
        let lost = || Broken::Off("the work on it was given up".to_owned());
        let mut work = self.work.take().ok_or_else(lost)?;
        let done = spawn_blocking(move || {
            let piece = work.decoder.next();
            if let Ok(Some(piece)) = &piece {
                work.hasher.update(piece);
            }
            (work, piece)
        });
        let (work, piece) = done.await.map_err(|_| lost())?;
        let piece =
            piece.map_err(|error| Broken::Lied(format!("cannot be decompressed: {error}")))?;
        let work = self.work.insert(work);
        let Some(piece) = piece else {
            return Ok(None);
        };
        self.made += piece.len() as u64;
        let size = self.info.nar_size;
        if self.made > size {
            return Err(Broken::Lied(format!("has more than {size} bytes")));
        }
        if self.made == size {
            let hash = work.hasher.clone().finish();
            if hash.as_bytes() != self.info.nar_hash.0 {
                let what = format!(
                    "has the SHA-256 {}, not that of its narinfo",
                    hash.to_base16()
                );
                return Err(Broken::Lied(what));
            }
        }
        Ok(Some(piece))
    }

    /// What comes next, compressed.
    async fn receive(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            let allowed = self.stall_time + Duration::from_secs(self.received / SLOWEST);
            let patience = self.stall_time.min(allowed.saturating_sub(self.waited));
            let start = Instant::now();
            let frame = timeout(patience, self.incoming.frame()).await;
            self.waited += start.elapsed();
            let stalled = || {
                let waited = self.waited.as_secs_f32();
                Broken::Off(format!(
                    "the nar stalls: {} bytes in {waited:.1} s",
                    self.received
                ))
            };
            let frame = match frame.map_err(|_| stalled())? {
                None => return Ok(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    return Err(Broken::Off(format!(
                        "the nar broke off: {}",
                        with_causes(&error)
                    )));
                }
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            self.received += data.len() as u64;
            let size = self.info.nar_size;
            if self.received > size.saturating_add(size / 8).saturating_add(GROWTH) {
                return Err(Broken::Lied(format!(
                    "has {size} bytes, and more than that compressed"
                )));
            }
            return Ok(Some(data));
        }
    }
}
