//! Making items valid.

use futures::{StreamExt, stream};
use grange_interfaces::{Body, ItemInfo, LocalStoreError};

use crate::config::FarmKey;
use crate::connection::Connection;
use crate::dialect::{Incoming, WayIn};
use crate::error::DaemonError;
use crate::incoming::{Checked, Export, SMALL, mismatch, plain_file};
use crate::store::DaemonStore;
use crate::wire::{Frame, Request, WireError};

/// Why an item was not made valid.
#[derive(Debug)]
pub(crate) enum ImportError {
    Daemon(DaemonError),
    Item(LocalStoreError),
}

impl From<DaemonError> for ImportError {
    fn from(error: DaemonError) -> Self {
        Self::Daemon(error)
    }
}

impl From<LocalStoreError> for ImportError {
    fn from(error: LocalStoreError) -> Self {
        Self::Item(error)
    }
}

impl From<ImportError> for LocalStoreError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Daemon(error) => error.into(),
            ImportError::Item(error) => error,
        }
    }
}

impl DaemonStore {
    /// Makes an item valid that is not.
    pub(crate) async fn import_new(
        &self,
        info: &ItemInfo,
        nar: Body,
        connection: &mut Connection,
    ) -> Result<(), ImportError> {
        let mut nar = Checked::new(info, nar);
        let mut text = None;
        if info.nar_size <= SMALL {
            let whole = nar.all().await?;
            text = plain_file(&whole);
            nar = Checked::new(info, stream::iter([Ok(whole)]).boxed());
        }
        let item = Incoming {
            info,
            text: text.as_ref(),
        };
        let way = self.speech().way_in(item);
        self.import_by(way, nar, connection).await
    }

    /// Makes an item valid in this way.
    pub(crate) async fn import_by(
        &self,
        way: WayIn,
        mut nar: Checked<'_>,
        connection: &mut Connection,
    ) -> Result<(), ImportError> {
        match way {
            WayIn::Whole(request) => {
                connection.call(&request).await?;
                self.expect_path(nar.info(), connection).await
            }
            WayIn::Source(request) => {
                connection.send(&request).await?;
                while let Some(piece) = nar.next().await? {
                    connection.send_bytes(&piece).await?;
                }
                connection.settle().await?;
                self.expect_path(nar.info(), connection).await
            }
            WayIn::Export(request) => self.import_export(&request, nar, connection).await,
            WayIn::Framed(request) => {
                connection.send(&request).await?;
                while let Some(piece) = nar.next().await? {
                    let length = (piece.len() as u64).to_le_bytes();
                    connection.send_bytes(&length).await?;
                    connection.send_bytes(&piece).await?;
                }
                connection.send_bytes(&0u64.to_le_bytes()).await?;
                let settled = connection.settle().await;
                settled.map_err(|error| self.explain(error))?;
                Ok(())
            }
        }
    }

    async fn import_export(
        &self,
        request: &Request,
        nar: Checked<'_>,
        connection: &mut Connection,
    ) -> Result<(), ImportError> {
        let Some(FarmKey::Guix(key)) = self.farm_key() else {
            return Err(DaemonError::NoKey.into());
        };
        let mut export = Export::new(nar, key);
        connection.send(request).await?;
        loop {
            match connection
                .turn()
                .await
                .map_err(|error| self.explain(error))?
            {
                Frame::Read(most) => {
                    let most = usize::try_from(most).unwrap_or(usize::MAX);
                    let mut data = Request::empty();
                    data.bytes(&export.next(most).await?);
                    connection.send(&data).await?;
                }
                Frame::Last => break,
                frame => {
                    let error = WireError::Misplaced(frame.name());
                    return Err(DaemonError::from(error).into());
                }
            }
        }
        let store = self.config().store_dir.clone();
        connection.read(|cursor| cursor.paths(&store)).await?;
        Ok(())
    }

    /// The path that the daemon computed from what it got.
    async fn expect_path(
        &self,
        info: &ItemInfo,
        connection: &mut Connection,
    ) -> Result<(), ImportError> {
        let store = self.config().store_dir.clone();
        let path = connection.read(|cursor| cursor.path(&store)).await?;
        if path == info.path {
            return Ok(());
        }
        Err(mismatch(info, format!("the daemon made {path} of it")).into())
    }

    /// An error in the operator's words, if it is about keys or trust.
    pub(crate) fn explain(&self, error: DaemonError) -> DaemonError {
        match error {
            DaemonError::Refused { message, .. } if is_about_trust(&message) => {
                DaemonError::Unauthorised {
                    message,
                    command: self.speech().command(self.farm_key()),
                }
            }
            error => error,
        }
    }
}

/// What daemons say of keys that they do not know and clients that they do not trust.
fn is_about_trust(message: &str) -> bool {
    [
        "unauthorized public key",
        "lacks a signature",
        "lacks a valid signature",
        "not privileged",
    ]
    .iter()
    .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::is_about_trust;

    #[test]
    fn what_daemons_say_of_keys() {
        for message in [
            "guix-authenticate: error: unauthorized public key: (public-key ...)",
            "imported file archive of `/gnu/store/x' lacks a signature",
            "cannot add path '/nix/store/x' because it lacks a valid signature",
            "you are not privileged to build input-addressed derivations",
        ] {
            assert!(is_about_trust(message), "{message}");
        }
        assert!(!is_about_trust("path `/gnu/store/x' is not valid"));
    }
}
