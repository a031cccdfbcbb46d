//! A nar on its way in: checked as it passes.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use grange_derivation::nar::{self, NarDigest};
use grange_derivation::{Hash, StorePath};
use grange_fail_points::{Point, reach};
use grange_interfaces::{Body, ItemInfo, LocalStoreError};
use grange_model::NarHash;
use grange_signatures::export::{self, Signing, Trailer};
use grange_signatures::guix::SecretKey;

use crate::wire::Cursor;

/// Of a nar that is at most so long, the daemon hears nothing until all of it has come and is right.
pub(crate) const SMALL: u64 = 1 << 20;

/// A nar whose last bytes come out only once all of it is right.
pub(crate) struct Checked<'a> {
    info: &'a ItemInfo,
    body: Body,
    digest: Option<NarDigest>,
    size: u64,
    held_back: Option<Bytes>,
}

impl<'a> Checked<'a> {
    pub(crate) fn new(info: &'a ItemInfo, body: Body) -> Self {
        Self {
            info,
            body,
            digest: Some(NarDigest::new()),
            size: 0,
            held_back: None,
        }
    }

    /// What it should be.
    pub(crate) const fn info(&self) -> &'a ItemInfo {
        self.info
    }

    /// The next piece.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, LocalStoreError> {
        let Some(digest) = &mut self.digest else {
            return Ok(None);
        };
        while let Some(piece) = self.body.next().await {
            let piece = piece.map_err(LocalStoreError::Body)?;
            self.size += piece.len() as u64;
            if self.size > self.info.nar_size {
                let announced = self.info.nar_size;
                return Err(mismatch(
                    self.info,
                    format!("has more than the {announced} bytes that were announced"),
                ));
            }
            digest
                .update(&piece)
                .map_err(|error| mismatch(self.info, error.to_string()))?;
            if piece.is_empty() {
                continue;
            }
            if let Some(before) = self.held_back.replace(piece) {
                return Ok(Some(before));
            }
        }
        self.check()?;
        Ok(self.held_back.take())
    }

    fn check(&mut self) -> Result<(), LocalStoreError> {
        let Some(digest) = self.digest.take() else {
            return Ok(());
        };
        if self.size != self.info.nar_size {
            let what = format!(
                "has {} bytes, {} were announced",
                self.size, self.info.nar_size
            );
            return Err(mismatch(self.info, what));
        }
        let digested = digest
            .finish()
            .map_err(|error| mismatch(self.info, error.to_string()))?;
        let hash = digested.hash();
        if hash.to_sha256() == Some(self.info.nar_hash.0) {
            return Ok(());
        }
        let announced = Hash::from_sha256(self.info.nar_hash.0);
        let what = format!("has hash {hash}, {announced} was announced");
        Err(mismatch(self.info, what))
    }

    /// All of it.
    pub(crate) async fn all(mut self) -> Result<Bytes, LocalStoreError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

/// What the announced item is not.
pub(crate) fn mismatch(info: &ItemInfo, what: String) -> LocalStoreError {
    LocalStoreError::Mismatch {
        path: info.path.clone(),
        what,
    }
}

/// What a nar's file consists of, if it is of one that is not executable.
pub(crate) fn plain_file(nar: &Bytes) -> Option<Bytes> {
    let mut cursor = Cursor::new(nar);
    for expected in ["nix-archive-1", "(", "type", "regular", "contents"] {
        if cursor.bytes().ok()? != expected.as_bytes() {
            return None;
        }
    }
    Some(nar.slice_ref(cursor.bytes().ok()?))
}

/// A text as an item.
pub(crate) fn text_item(
    path: &StorePath,
    text: &[u8],
    references: Vec<StorePath>,
) -> (ItemInfo, Bytes) {
    let nar = Bytes::from(nar::of_file(text));
    let info = ItemInfo {
        path: path.clone(),
        nar_hash: NarHash(Hash::sha256(&nar).to_sha256().unwrap_or_default()),
        nar_size: nar.len() as u64,
        references,
        deriver: None,
    };
    (info, nar)
}

/// An export of one item, signed.
pub(crate) struct Export<'a> {
    key: &'a SecretKey,
    part: Part<'a>,
    /// What was too long to go out at once.
    rest: Bytes,
}

enum Part<'a> {
    Start(Checked<'a>),
    Nar(Checked<'a>, Signing),
    End,
}

impl<'a> Export<'a> {
    pub(crate) fn new(nar: Checked<'a>, key: &'a SecretKey) -> Self {
        Self {
            key,
            part: Part::Start(nar),
            rest: Bytes::new(),
        }
    }

    /// The next bytes, at most `most`; empty at the end.
    pub(crate) async fn next(&mut self, most: usize) -> Result<Bytes, LocalStoreError> {
        while self.rest.is_empty() {
            match std::mem::replace(&mut self.part, Part::End) {
                Part::Start(nar) => {
                    self.rest = Bytes::copy_from_slice(&export::ITEM);
                    self.part = Part::Nar(nar, Signing::new());
                }
                Part::Nar(mut nar, mut signing) => match nar.next().await? {
                    Some(piece) => {
                        signing.update(&piece);
                        self.rest = piece;
                        self.part = Part::Nar(nar, signing);
                    }
                    None => {
                        let trailer = Trailer {
                            path: nar.info.path.clone(),
                            references: nar.info.references.iter().cloned().collect(),
                            deriver: nar.info.deriver.clone(),
                        };
                        reach(Point::ExportSigning);
                        let mut end = signing.finish(&trailer, self.key);
                        reach(Point::ExportSigned);
                        end.extend_from_slice(&export::END);
                        self.rest = end.into();
                    }
                },
                Part::End => return Ok(Bytes::new()),
            }
        }
        Ok(self.rest.split_to(most.min(self.rest.len())))
    }
}
