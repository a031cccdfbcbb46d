//! What comes over a connection: pages for strangers, and calls.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_derivation::{Hash, StoreDir, nar};
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{
    ArtifactStore, Body, Claim, Datastore, Endpoint, Fault, Peer, Refusal, Stop, UploadId,
};
use grange_model::{
    Batch, BlobId, Change, Digest, FactNumber, Item, ItemRecord, NarHash, Record, Seq, Timestamp,
};
use grange_substitutes::{Cache, NarCompression, Substitutes, SubstitutesConfig};
use grange_testing::{MemoryArtifacts, MemoryDatastore};
use grange_transport_http::{Server, ServerConfig, serve_stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::runtime::{PATIENCE, runtime};
use crate::watch::unharmed;

/// A connection to a substitute server that has one item.
pub(crate) fn pages(bytes: &[u8]) {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    let address = ADDRESS.get_or_init(|| runtime().block_on(publish()));
    let talk = async {
        let stream = TcpStream::connect(address.as_str()).await;
        let stream = stream.expect("the server listens");
        // A fuzzer opens more connections than there are ports that can be kept for late packets.
        stream.set_zero_linger().expect("it is a socket");
        talk(stream, bytes).await;
    };
    unharmed(|| runtime().block_on(talk));
}

async fn publish() -> String {
    let nar = nar::of_file(b"the contents");
    let compressed = zstd::encode_all(&nar[..], 3).expect("it is in memory");
    let sha256 = |bytes: &[u8]| Hash::sha256(bytes).to_sha256().expect("it is SHA-256");
    let blob = BlobId(sha256(&compressed));
    let record = ItemRecord {
        item: Item {
            digest: Digest([0; 20]),
            name: "item".to_owned(),
        },
        store: StoreDir::guix().as_str().to_owned(),
        nar_hash: NarHash(sha256(&nar)),
        nar_size: nar.len() as u64,
        references: Vec::new(),
        deriver: None,
        blob,
        blob_size: compressed.len() as u64,
    };
    let artifacts = MemoryArtifacts::new();
    let upload = UploadId::new("fuzz".to_owned()).expect("it is a name");
    let body = stream::iter([Ok(Bytes::from(compressed))]).boxed();
    let appended = artifacts.append(&upload, 0, body).await;
    appended.expect("there is room");
    artifacts
        .seal(&upload, blob)
        .await
        .expect("it is all there");
    let datastore = MemoryDatastore::new();
    let claimed = datastore.claim(Claim::Force).await.expect("it is new");
    let batch = Batch {
        at: Timestamp(1),
        first_fact: FactNumber(claimed.fact.0 + 1),
        facts: Vec::new(),
        changes: vec![Change::Put(Record::Item(record))],
    };
    let seq = Seq(claimed.seq.0 + 1);
    let commit = datastore.commit(claimed.term, seq, Arc::new(batch));
    commit.await.expect("it is claimed");
    let caches = vec![
        Cache::Guix {
            store: StoreDir::guix(),
            key: None,
            compressions: vec![NarCompression::Zstd],
        },
        Cache::Nix {
            store: StoreDir::nix(),
            keys: Vec::new(),
            priority: 50,
            compression: NarCompression::None,
        },
    ];
    let site = Substitutes::new(
        Arc::new(datastore),
        Arc::new(artifacts),
        SubstitutesConfig::new(caches),
    );
    let loopback = "127.0.0.1:0".parse().expect("it is an address");
    let server = Server::bind(loopback, ServerConfig::default()).await;
    let server = server.expect("there is a loopback interface");
    let address = server.local_addr().to_string();
    let (stopper, stop) = Stop::new();
    // It serves until the process ends.
    std::mem::forget(stopper);
    tokio::spawn(server.serve_site(Arc::new(site), stop));
    address
}

/// A connection to a coordinator that takes whatever it is told and refuses it.
pub(crate) fn calls(bytes: &[u8]) {
    let call = async {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (stopper, stop) = Stop::new();
        let mut config = ServerConfig::default();
        config.trusted = true;
        let serving = tokio::spawn(serve_stream(theirs, Arc::new(Refuses), config, stop));
        talk(ours, bytes).await;
        let served = tokio::time::timeout(PATIENCE, serving).await;
        let served = served.expect("a connection that is closed is served no more");
        assert!(served.is_ok(), "serving panicked: {served:?}");
        drop(stopper);
    };
    unharmed(|| runtime().block_on(call));
}

/// Says all of it, and hears the answers out: they are HTTP, or there are none.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let say = async {
        // The server may have had enough before.
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
    };
    let mut answer = Vec::new();
    let hear = async {
        let _ = reader.read_to_end(&mut answer).await;
    };
    let talked = tokio::time::timeout(PATIENCE, async { tokio::join!(say, hear) }).await;
    assert!(talked.is_ok(), "the connection hangs");
    let http = [&b"HTTP/1."[..], &[0, 0]].iter().any(|start| {
        let length = start.len().min(answer.len());
        answer[..length] == start[..length]
    });
    assert!(http, "an answer that is not HTTP: {:?}", answer.get(..40));
}

#[derive(Debug)]
struct Refuses;

#[async_trait]
impl Endpoint for Refuses {
    async fn call(
        &self,
        _peer: &Peer,
        message: Message,
        body: Option<Body>,
    ) -> Result<(Answer, Option<Body>), Refusal> {
        let mut length = 0;
        let mut body = body.unwrap_or_else(|| stream::empty().boxed());
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => length += piece.len(),
                Err(error) => return Err(Refusal::new(Fault::Peer, error.to_string())),
            }
        }
        match message {
            Message::Hello { .. } => Ok((
                Answer::Hello {
                    version: 1,
                    software: "fuzz".to_owned(),
                    store_dirs: Vec::new(),
                },
                None,
            )),
            _ => Err(Refusal::new(Fault::NotFound, format!("{length} bytes"))),
        }
    }
}
