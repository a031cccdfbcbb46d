//! What lies in a farm, and who asks.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::nar::Encoder;
use grange_derivation::{Hash, StoreDir, StorePath};
use grange_interfaces::{ArtifactStore, Claim, Datastore, Site, SiteBody, UploadId, bytes_of};
use grange_model::{
    Batch, BlobId, BuildState, Change, Digest, FactNumber, Item, ItemRecord, NarHash, Record, Seq,
    Tags, Timestamp,
};
use grange_signatures::{guix, nix};
use grange_substitutes::{Bakery, Cache, GuixKey, NarCompression, Substitutes, SubstitutesConfig};
use grange_testing::{MemoryArtifacts, MemoryDatastore, sample};
use http::{HeaderMap, Request, Response, StatusCode};

use crate::watched::Watched;

/// A farm with a few items.
pub(crate) struct Farm {
    datastore: Arc<MemoryDatastore>,
    artifacts: Arc<MemoryArtifacts>,
    /// What sites read.
    pub(crate) watched: Arc<Watched>,
    pub(crate) records: Vec<Record>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) fn store() -> StoreDir {
    StoreDir::guix()
}

/// The nar of a file.
pub(crate) fn nar(contents: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.regular(false, contents.len() as u64).unwrap();
    encoder.data(contents).unwrap();
    encoder.finish().unwrap().0
}

impl Farm {
    pub(crate) fn new() -> Self {
        let datastore = Arc::new(MemoryDatastore::new());
        Self {
            watched: Arc::new(Watched::new(Arc::clone(&datastore))),
            datastore,
            artifacts: Arc::new(MemoryArtifacts::new()),
            records: Vec::new(),
        }
    }

    /// Puts bytes into the artifacts.
    pub(crate) async fn blob(&self, bytes: &[u8]) -> BlobId {
        let blob = BlobId(Hash::sha256(bytes).to_sha256().unwrap());
        let upload = UploadId::new(format!("test-{blob}")).unwrap();
        let body = stream::iter([Ok(Bytes::copy_from_slice(bytes))]).boxed();
        self.artifacts.append(&upload, 0, body).await.unwrap();
        self.artifacts.seal(&upload, blob).await.unwrap();
        blob
    }

    /// An item that is a file.
    pub(crate) async fn file(
        &mut self,
        path: &StorePath,
        contents: &[u8],
        references: &[&StorePath],
        deriver: Option<u32>,
    ) -> ItemRecord {
        let nar = nar(contents);
        let compressed = zstd::encode_all(&nar[..], 3).unwrap();
        let item = |path: &StorePath| Item {
            digest: Digest(*path.digest()),
            name: path.name().to_owned(),
        };
        let mut references: Vec<_> = references.iter().map(|path| item(path)).collect();
        references.sort();
        let record = ItemRecord {
            item: item(path),
            store: path.store().as_str().to_owned(),
            nar_hash: NarHash(Hash::sha256(&nar).to_sha256().unwrap()),
            nar_size: nar.len() as u64,
            references,
            deriver: deriver.map(sample::derivation_item),
            blob: self.blob(&compressed).await,
            blob_size: compressed.len() as u64,
        };
        self.records.push(Record::Item(record.clone()));
        record
    }

    /// Says something else of an item.
    pub(crate) fn replace(&mut self, record: ItemRecord) {
        self.records.push(Record::Item(record));
    }

    /// A build that succeeded.
    pub(crate) fn built(
        &mut self,
        number: u32,
        derivation: u32,
        tags: &[(&str, &str)],
        log: Option<BlobId>,
    ) {
        let mut build = sample::finished(number, derivation, BuildState::Succeeded);
        let tag = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        build.build.spec.tags = tags.iter().map(tag).collect::<Tags>();
        for attempt in &mut build.attempts {
            attempt.log = log;
        }
        self.records
            .push(Record::Derivation(sample::derivation(derivation)));
        self.records.push(Record::Finished(build));
    }

    /// Makes known what came since the last time.
    pub(crate) async fn commit(&mut self) {
        let claimed = self.datastore.claim(Claim::Force).await.unwrap();
        let changes = self.records.drain(..).map(Change::Put).collect();
        let batch = Batch {
            at: Timestamp(1),
            first_fact: FactNumber(claimed.fact.0 + 1),
            facts: Vec::new(),
            changes,
        };
        let seq = Seq(claimed.seq.0 + 1);
        let commit = self.datastore.commit(claimed.term, seq, Arc::new(batch));
        commit.await.unwrap();
    }

    /// What strangers see, published under this key.
    pub(crate) async fn site(
        &mut self,
        withheld: &[(&str, &str)],
        key: guix::SecretKey,
    ) -> Substitutes {
        self.site_with(withheld, key, None).await
    }

    /// The same, with nars in other compressions.
    pub(crate) async fn site_with(
        &mut self,
        withheld: &[(&str, &str)],
        key: guix::SecretKey,
        bakery: Option<Bakery>,
    ) -> Substitutes {
        self.commit().await;
        let name = nix::KeyName::new("farm.example-1").unwrap();
        let caches = vec![
            Cache::Guix {
                store: store(),
                key: Some(GuixKey {
                    key,
                    host: "farm.example".into(),
                }),
                compressions: vec![
                    NarCompression::Zstd,
                    NarCompression::Gzip,
                    NarCompression::Lzip,
                ],
            },
            Cache::Nix {
                store: StoreDir::nix(),
                keys: vec![nix::SecretKey::generate(name, &[7; 32])],
                priority: 50,
                compression: NarCompression::None,
            },
        ];
        let mut config = SubstitutesConfig::new(caches);
        let tag = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        config.bakery = bakery;
        config.withheld = withheld.iter().map(tag).collect();
        let history = Arc::<Watched>::clone(&self.watched);
        let artifacts = Arc::<MemoryArtifacts>::clone(&self.artifacts);
        Substitutes::new(history, artifacts, config)
    }
}

/// Asks for a page.
pub(crate) async fn get(site: &Substitutes, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let response: Response<_> = site.get(&head).await;
    let (head, body) = response.into_parts();
    let body = match body {
        SiteBody::Bytes(bytes) => bytes,
        SiteBody::Stream(body) => bytes_of(body, 1 << 20).await.unwrap(),
        SiteBody::File(part) => {
            let mut bytes = vec![0; (part.range.end - part.range.start) as usize];
            part.file
                .read_exact_at(&mut bytes, part.range.start)
                .unwrap();
            bytes.into()
        }
    };
    if let Some(length) = head.headers.get("content-length")
        && head.status != StatusCode::NOT_MODIFIED
    {
        assert_eq!(length.to_str().unwrap(), body.len().to_string());
    }
    Answer {
        status: head.status,
        headers: head.headers,
        body,
    }
}
