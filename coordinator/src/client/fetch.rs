//! Fetching items.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::StreamExt;
use grange_derivation::StorePath;
use grange_interfaces::message::{Answer, ItemView, Message};
use grange_interfaces::{Body, Fault, Refusal};
use tokio::sync::mpsc;

use super::unpack::{Unpacked, unpack};
use super::{Client, ClientError};

/// How many pieces of a compressed nar may wait to be unpacked.
const PIECES: usize = 4;

impl Client {
    /// Unpacks an item at `place`, where nothing may be yet, and says what it is.
    ///
    /// Hash and size of what was sent and of the nar in it are verified; a broken connection is taken up where it
    /// broke. The item appears at `place` when all of it is there and is right; until then it lies beside it under a
    /// temporary name, which is removed on errors.
    ///
    /// # Errors
    ///
    /// The item is not available, is not what was announced, or cannot be written.
    pub async fn fetch(
        &self,
        path: &StorePath,
        place: impl AsRef<Path>,
    ) -> Result<ItemView, ClientError> {
        let place = place.as_ref().to_owned();
        let (item, mut body) = self.open(path, 0).await?;
        let (sender, receiver) = mpsc::channel(PIECES);
        let unpacked = tokio::task::spawn_blocking(move || unpack(receiver, &place));
        let sent = self.pump(path, &item, &mut body, &sender).await;
        drop(sender);
        let unpacked: Result<Unpacked, ClientError> = unpacked.await.unwrap_or_else(|error| {
            Err(ClientError::Write {
                place: path.to_string(),
                source: std::io::Error::other(error),
            })
        });
        sent?;
        let unpacked = unpacked?;
        let wrong = |what: String| ClientError::Mismatch {
            path: item.path.clone(),
            what,
        };
        for (what, actual, announced) in [
            (
                "SHA-256 of the file sent",
                &unpacked.file_hash,
                &item.file_hash,
            ),
            ("SHA-256 of the nar", &unpacked.nar_hash, &item.nar_hash),
            (
                "bytes of the nar",
                &unpacked.nar_size.to_string(),
                &item.nar_size.to_string(),
            ),
        ] {
            if actual != announced {
                return Err(wrong(format!(
                    "{what}: {actual}, announced were {announced}"
                )));
            }
        }
        unpacked.keep()?;
        Ok(item)
    }

    /// Unpacks an item and all that it refers to into `directory`, each under its own name (`HASH-NAME`); what is
    /// there already is left alone. Says which items these are, references first.
    ///
    /// # Errors
    ///
    /// As [`Client::fetch`].
    pub async fn fetch_closure(
        &self,
        path: &StorePath,
        directory: impl AsRef<Path>,
    ) -> Result<Vec<(ItemView, PathBuf)>, ClientError> {
        let items = self.items(vec![path.to_string()], true).await?;
        let mut fetched = Vec::new();
        for item in items.into_iter().flatten() {
            let name = StorePath::parse_any(&item.path).map_err(|error| ClientError::Mismatch {
                path: item.path.clone(),
                what: error.to_string(),
            })?;
            let place = directory.as_ref().join(name.base_name());
            if std::fs::symlink_metadata(&place).is_err() {
                self.fetch(&name, &place).await?;
            }
            fetched.push((item, place));
        }
        if !fetched
            .iter()
            .any(|(item, _)| item.path == path.to_string())
        {
            return Err(Refusal::new(Fault::NotFound, format!("`{path}` is not available")).into());
        }
        Ok(fetched)
    }

    async fn open(&self, path: &StorePath, offset: u64) -> Result<(ItemView, Body), ClientError> {
        let message = Message::FetchItem {
            path: path.to_string(),
            offset,
        };
        match self.ask_for_body(message).await? {
            (Answer::Item(item), Some(body)) if item.path == path.to_string() => Ok((item, body)),
            _ => Err(ClientError::Answer {
                question: "FetchItem",
            }),
        }
    }

    /// Hands on what comes, and takes up what broke off.
    async fn pump(
        &self,
        path: &StorePath,
        item: &ItemView,
        body: &mut Body,
        sender: &mpsc::Sender<Bytes>,
    ) -> Result<(), ClientError> {
        let mut patience = self.patience();
        let mut offset = 0_u64;
        while offset < item.file_size {
            let broken = match body.next().await {
                Some(Ok(bytes)) => {
                    offset += bytes.len() as u64;
                    patience.renew();
                    if sender.send(bytes).await.is_err() {
                        // Unpacking has ended, and says itself why.
                        return Ok(());
                    }
                    continue;
                }
                Some(Err(error)) => error.to_string(),
                None => format!(
                    "the item broke off after {offset} of {} bytes",
                    item.file_size
                ),
            };
            patience.pause(Refusal::new(Fault::Busy, broken)).await?;
            let (again, rest) = self.open(path, offset).await?;
            if again != *item {
                let what = "it changed while it was fetched".to_owned();
                return Err(ClientError::Mismatch {
                    path: item.path.clone(),
                    what,
                });
            }
            *body = rest;
        }
        Ok(())
    }
}
