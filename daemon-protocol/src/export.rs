//! Nars on their way out.

use std::io;

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::StorePath;
use grange_interfaces::{Body, LocalStoreError};

use crate::dialect::WayOut;
use crate::error::DaemonError;
use crate::pool::Lease;
use crate::store::DaemonStore;
use crate::wire::{Frame, WireError};

/// A nar that is being read.
struct Outgoing {
    connection: Lease,
    way: WayOut,
    /// Bytes of it that have not come.
    left: u64,
}

impl DaemonStore {
    pub(crate) async fn export_nar(&self, path: &StorePath) -> Result<Body, LocalStoreError> {
        let mut connection = self.pool().lease().await?;
        let found = self
            .query_on(&mut connection, std::slice::from_ref(path))
            .await?;
        let Some(info) = found.into_iter().flatten().next() else {
            connection.done();
            return Err(LocalStoreError::NotValid(path.clone()));
        };
        let (request, way) = self.speech().way_out(path);
        connection.send(&request).await?;
        if way == WayOut::Raw {
            connection.settle().await?;
        }
        let outgoing = Outgoing {
            connection,
            way,
            left: info.nar_size,
        };
        let pieces = stream::try_unfold(Some(outgoing), |outgoing| async {
            match outgoing {
                Some(outgoing) => outgoing.next().await.map_err(io::Error::other),
                None => Ok(None),
            }
        });
        Ok(pieces.boxed())
    }
}

impl Outgoing {
    /// The next piece. The connection goes back as soon as the daemon has said everything.
    async fn next(mut self) -> Result<Option<(Bytes, Option<Self>)>, DaemonError> {
        let piece = match self.way {
            WayOut::Raw if self.left == 0 => Bytes::new(),
            WayOut::Raw => self.connection.read_raw(self.left).await?,
            WayOut::Messages => self.message().await?,
        };
        self.left -= piece.len() as u64;
        if self.left > 0 {
            return Ok(Some((piece, Some(self))));
        }
        if self.way == WayOut::Messages {
            // Path, references and deriver: known already.
            while let Frame::Write(_) = self.turn().await? {}
            self.connection.read(|cursor| cursor.number()).await?;
        }
        self.connection.done();
        Ok(Some((piece, None)))
    }

    /// A piece of the nar from a message, without what is behind it.
    async fn message(&mut self) -> Result<Bytes, DaemonError> {
        match self.turn().await? {
            Frame::Write(mut data) => {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                data.truncate(left);
                Ok(data)
            }
            frame => Err(WireError::Misplaced(frame.name()).into()),
        }
    }

    async fn turn(&mut self) -> Result<Frame, DaemonError> {
        match self.connection.turn().await? {
            frame @ (Frame::Write(_) | Frame::Last) => Ok(frame),
            frame => Err(WireError::Misplaced(frame.name()).into()),
        }
    }
}
