//! What a program wrote itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use grange_derivation::{Instantiated, StorePath};
use grange_interfaces::Body;

use super::nar_stream::{nar_of_bytes, nar_of_path};
use super::source_info::{Candidates, of_bytes, of_path};
use super::{ClosureSource, SourceError, SourceInfo};

/// Derivations in memory, and sources in memory or at any place on disk.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    derivations: BTreeMap<StorePath, Bytes>,
    sources: BTreeMap<StorePath, Content>,
}

#[derive(Clone, Debug)]
enum Content {
    File { bytes: Bytes, executable: bool },
    Path(PathBuf),
}

impl MemorySource {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a derivation that was written with [`grange_derivation::Builder`].
    pub fn add(&mut self, derivation: &Instantiated) -> &mut Self {
        self.add_derivation(derivation.path.clone(), derivation.text.clone())
    }

    /// Adds a derivation's text.
    pub fn add_derivation(&mut self, path: StorePath, text: impl Into<Bytes>) -> &mut Self {
        self.derivations.insert(path, text.into());
        self
    }

    /// Adds a source that lies at `place`, under whatever name; it must not change any more.
    pub fn add_path(&mut self, path: StorePath, place: impl Into<PathBuf>) -> &mut Self {
        self.sources.insert(path, Content::Path(place.into()));
        self
    }

    /// Adds a source that is a file with these bytes.
    pub fn add_file(
        &mut self,
        path: StorePath,
        bytes: impl Into<Bytes>,
        executable: bool,
    ) -> &mut Self {
        self.sources.insert(
            path,
            Content::File {
                bytes: bytes.into(),
                executable,
            },
        );
        self
    }

    fn candidates(&self) -> Candidates {
        let items = self.sources.keys().chain(self.derivations.keys());
        items.map(|path| (*path.digest(), path.clone())).collect()
    }

    /// The source, or the derivation that is used as one.
    fn content(&self, path: &StorePath) -> Result<Content, SourceError> {
        let file = |bytes: &Bytes| Content::File {
            bytes: bytes.clone(),
            executable: false,
        };
        let source = self.sources.get(path).cloned();
        source
            .or_else(|| self.derivations.get(path).map(file))
            .ok_or_else(|| not_there(path))
    }
}

fn not_there(path: &StorePath) -> SourceError {
    SourceError::NotThere {
        path: path.clone(),
        place: "what was put together to be submitted".to_owned(),
    }
}

#[async_trait]
impl ClosureSource for MemorySource {
    async fn derivation_text(&self, path: &StorePath) -> Result<Vec<u8>, SourceError> {
        self.derivations
            .get(path)
            .map(|text| text.to_vec())
            .ok_or_else(|| not_there(path))
    }

    async fn source_info(&self, path: &StorePath) -> Result<SourceInfo, SourceError> {
        match self.content(path)? {
            Content::File { bytes, executable } => {
                of_bytes(path, &bytes, executable, || self.candidates())
            }
            Content::Path(place) => {
                let (candidates, path) = (Arc::new(self.candidates()), path.clone());
                let failed = path.clone();
                let work = move || of_path(&path, &place, || Ok((*candidates).clone()));
                let done = tokio::task::spawn_blocking(work).await;
                done.unwrap_or_else(|error| {
                    Err(SourceError::Io {
                        path: failed,
                        source: std::io::Error::other(error),
                    })
                })
            }
        }
    }

    async fn nar(&self, path: &StorePath) -> Result<Body, SourceError> {
        Ok(match self.content(path)? {
            Content::File { bytes, executable } => nar_of_bytes(bytes, executable),
            Content::Path(place) => nar_of_path(place),
        })
    }
}
