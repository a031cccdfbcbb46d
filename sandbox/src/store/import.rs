//! How items become valid.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use grange_derivation::nar::{self, FsError};
use grange_derivation::{HashAlgo, Hasher, StorePath};
use grange_fail_points::{Point, reach};
use grange_interfaces::{Body, ItemInfo, LocalStoreError};
use tokio::sync::mpsc;

use super::Inner;
use super::record::Record;
use crate::tree;

/// Pieces of a body that wait to be written.
const WAITING: usize = 4;

/// An item that is complete and canonical but lies elsewhere on the store's file system.
#[derive(Debug)]
pub(crate) struct NewItem {
    pub info: ItemInfo,
    pub at: PathBuf,
}

impl Inner {
    /// Makes items valid, all at once as far as this process can tell; returns what is known of them then. Of an item
    /// that became valid meanwhile, that one stays and ours is removed.
    ///
    /// Their references must be valid or among them. Blocks.
    pub(crate) fn register(&self, items: Vec<NewItem>) -> Result<Vec<ItemInfo>, LocalStoreError> {
        let commit = self.commit.lock().unwrap_or_else(PoisonError::into_inner);
        let (present, new): (Vec<_>, Vec<_>) = items
            .into_iter()
            .partition(|item| self.index.get(&item.info.path).is_some());
        for item in &new {
            let known = |reference: &StorePath| {
                self.index.get(reference).is_some()
                    || new
                        .iter()
                        .chain(&present)
                        .any(|other| other.info.path == *reference)
            };
            if let Some(reference) = item
                .info
                .references
                .iter()
                .find(|reference| !known(reference))
            {
                return Err(LocalStoreError::MissingReference {
                    path: item.info.path.clone(),
                    reference: reference.clone(),
                });
            }
        }
        self.put_all(&new).inspect_err(|_| {
            for item in &new {
                // What cannot be removed now is when it is in the way, or when the store is opened.
                let _ = fs::remove_file(self.layout.record(&item.info.path));
                let _ = tree::remove(&self.layout.item(&item.info.path));
            }
        })?;
        self.index.insert(new.iter().map(|item| item.info.clone()));
        drop(commit);
        let infos = new.iter().map(|item| item.info.clone());
        let infos = infos.chain(
            present
                .iter()
                .filter_map(|item| Some((*self.index.get(&item.info.path)?).clone())),
        );
        let infos: Vec<_> = infos.collect();
        for item in &present {
            tree::remove(&item.at).map_err(|error| failed("remove a second copy", &error))?;
        }
        // Not one after the other with `||`: every item counts.
        let settle = new.iter().fold(false, |settle, item| {
            self.epochs.count(item.info.nar_size) | settle
        });
        if settle {
            self.epochs
                .settle(&self.layout)
                .map_err(|error| failed("sync the store", &error))?;
        }
        Ok(infos)
    }

    fn put_all(&self, items: &[NewItem]) -> Result<(), LocalStoreError> {
        for item in items {
            self.put_in_place(item)
                .map_err(|error| failed("put an item in place", &error))?;
        }
        let epoch = self.epochs.current();
        for item in items {
            let record = Record {
                info: item.info.clone(),
                epoch,
            };
            self.write_record(&record)
                .map_err(|error| failed("record an item", &error))?;
        }
        Ok(())
    }

    fn put_in_place(&self, item: &NewItem) -> io::Result<()> {
        let place = self.layout.item(&item.info.path);
        // What lies there is not valid: it is left of a process that was killed.
        tree::remove(&place)?;
        let directory = fs::symlink_metadata(&item.at)?.is_dir();
        if directory {
            // Who is not root may move only what they may write to: `..` in it changes.
            fs::set_permissions(&item.at, fs::Permissions::from_mode(0o755))?;
        }
        fs::rename(&item.at, &place)?;
        reach(Point::ItemPlaced);
        if directory {
            tree::settle_directory(&place)?;
        }
        Ok(())
    }

    fn write_record(&self, record: &Record) -> io::Result<()> {
        let new = self.layout.new_incoming();
        let write = fs::write(&new, record.to_bytes())
            .inspect(|()| reach(Point::RecordWritten))
            .and_then(|()| fs::rename(&new, self.layout.record(&record.info.path)));
        write.inspect_err(|_| {
            // It is removed when the store is opened, at the latest.
            let _ = fs::remove_file(&new);
        })
    }

    pub(super) async fn import_body(
        self: &Arc<Self>,
        info: &ItemInfo,
        body: Body,
    ) -> Result<(), LocalStoreError> {
        let (pieces, receiver) = mpsc::channel(WAITING);
        let (store, info) = (Arc::clone(self), info.clone());
        let write = tokio::task::spawn_blocking(move || {
            let at = store.layout.new_incoming();
            let result = store.receive(info, &at, receiver);
            if result.is_err() {
                let _ = tree::remove(&at);
            }
            result
        });
        let feed = feed(body, pieces);
        let ((), result) = futures::join!(feed, write);
        result.map_err(|error| LocalStoreError::Io(error.to_string()))?
    }

    fn receive(
        &self,
        info: ItemInfo,
        at: &Path,
        pieces: mpsc::Receiver<Piece>,
    ) -> Result<(), LocalStoreError> {
        let mismatch = |what: String| LocalStoreError::Mismatch {
            path: info.path.clone(),
            what,
        };
        let hasher = HashAlgo::Sha256
            .hasher()
            .ok_or_else(|| LocalStoreError::Io("no SHA-256".to_owned()))?;
        let mut body = BodyReader {
            pieces,
            piece: Bytes::new(),
            ended: false,
            size: 0,
            most: info.nar_size,
            hasher,
        };
        match nar::unpack(&mut body, at) {
            Ok(_) => {}
            Err(FsError::Read(error)) if body.size > info.nar_size => {
                return Err(mismatch(error.to_string()));
            }
            Err(FsError::Read(error)) => return Err(LocalStoreError::Body(error)),
            Err(FsError::Nar(error)) => return Err(mismatch(error.to_string())),
            Err(FsError::File {
                action,
                path,
                source,
            }) => {
                return Err(failed(&format!("{action} {}", path.display()), &source));
            }
            Err(error) => return Err(LocalStoreError::Io(error.to_string())),
        }
        if body.size != info.nar_size {
            return Err(mismatch(format!(
                "has {} bytes, {} were announced",
                body.size, info.nar_size
            )));
        }
        let hash = body.hasher.finish();
        if hash.to_sha256() != Some(info.nar_hash.0) {
            let announced = grange_derivation::Hash::from_sha256(info.nar_hash.0);
            return Err(mismatch(format!(
                "has hash {hash}, {announced} was announced"
            )));
        }
        tree::canonicalise(at, None).map_err(|error| match error {
            tree::NotCanonical::Content(what) => mismatch(what),
            tree::NotCanonical::Io(error) => failed("make an item canonical", &error),
        })?;
        self.register(vec![NewItem {
            info,
            at: at.to_owned(),
        }])
        .map(drop)
    }
}

/// What comes of a body.
enum Piece {
    Bytes(io::Result<Bytes>),
    /// All of it has come. Without it, whoever imports has gone.
    End,
}

async fn feed(mut body: Body, pieces: mpsc::Sender<Piece>) {
    while let Some(bytes) = body.next().await {
        let failed = bytes.is_err();
        // Nobody listens any more if the import has failed.
        if pieces.send(Piece::Bytes(bytes)).await.is_err() || failed {
            return;
        }
    }
    let _ = pieces.send(Piece::End).await;
}

/// Reads, hashes and counts a body on a thread that may block.
struct BodyReader {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    ended: bool,
    size: u64,
    most: u64,
    hasher: Hasher,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.ended {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.piece = bytes?,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        self.hasher.update(&buffer[..count]);
        self.size += count as u64;
        if self.size > self.most {
            return Err(io::Error::other(format!(
                "has more than the {} bytes that were announced",
                self.most
            )));
        }
        Ok(count)
    }
}

/// An error of the store's file system.
pub(super) fn failed(what: &str, error: &io::Error) -> LocalStoreError {
    if is_full(error) {
        LocalStoreError::Full
    } else {
        LocalStoreError::Io(format!("cannot {what}: {error}"))
    }
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
