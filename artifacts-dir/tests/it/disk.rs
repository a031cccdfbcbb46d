//! What lies on the disk, and a disk that is full.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use grange_artifacts_dir::ArtifactsDir;
use grange_interfaces::{ArtifactError, ArtifactStore, Body, Source, UploadId, bytes_of};
use grange_model::BlobId;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn id(name: &str) -> UploadId {
    UploadId::new(name).unwrap()
}

fn body(bytes: &[u8]) -> Body {
    let pieces: Vec<_> = bytes
        .chunks(10_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed()
}

fn blob(bytes: &[u8]) -> BlobId {
    BlobId(Sha256::digest(bytes).into())
}

fn kind(result: Result<impl std::fmt::Debug, ArtifactError>) -> ErrorKind {
    match result {
        Err(ArtifactError::Io(error)) => error.kind(),
        other => panic!("an error of the system was expected: {other:?}"),
    }
}

#[tokio::test]
async fn a_second_one_is_refused_while_the_first_works() {
    let place = TempDir::new().unwrap();
    let first = ArtifactsDir::open(place.path()).unwrap();
    assert_eq!(
        kind(ArtifactsDir::open(place.path())),
        ErrorKind::ResourceBusy
    );
    first.append(&id("a"), 0, body(b"hello")).await.unwrap();
    drop(first);
    let second = ArtifactsDir::open(place.path()).unwrap();
    assert_eq!(second.offset(&id("a")).await.unwrap(), 5);
}

#[test]
fn what_is_no_directory_is_refused() {
    let place = TempDir::new().unwrap();
    assert_eq!(
        kind(ArtifactsDir::open(place.path().join("missing/artifacts"))),
        ErrorKind::NotFound
    );
    fs::write(place.path().join("file"), "").unwrap();
    assert_eq!(
        kind(ArtifactsDir::open(place.path().join("file"))),
        ErrorKind::NotADirectory
    );
}

#[tokio::test]
async fn files_lie_where_the_documentation_says() {
    let place = TempDir::new().unwrap();
    let store = ArtifactsDir::open(place.path()).unwrap();
    store.append(&id("a"), 0, body(b"hello")).await.unwrap();
    assert_eq!(fs::read(place.path().join("uploads/a")).unwrap(), b"hello");
    store.seal(&id("a"), blob(b"hello")).await.unwrap();
    // `printf hello | sha256sum`
    let name = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(
        fs::read(place.path().join("blobs/2c").join(name)).unwrap(),
        b"hello"
    );
    assert!(!place.path().join("uploads/a").exists());
}

#[tokio::test]
async fn foreign_files_are_no_blobs_and_no_uploads() {
    let place = TempDir::new().unwrap();
    let store = ArtifactsDir::open(place.path()).unwrap();
    for name in [
        "uploads/.hidden",
        "uploads/UPPER",
        "uploads/a_b",
        "blobs/2c/README",
        "blobs/lost+found",
    ] {
        fs::write(place.path().join(name), "x").unwrap();
    }
    assert_eq!(store.uploads().count().await, 0);
    assert_eq!(store.blobs().try_collect::<Vec<_>>().await.unwrap(), []);
}

/// A power cut can take the end of what was not sealed: what is there counts, not what was.
#[tokio::test]
async fn an_upload_that_became_shorter_is_hashed_as_it_is() {
    let place = TempDir::new().unwrap();
    let store = ArtifactsDir::open(place.path()).unwrap();
    store
        .append(&id("a"), 0, body(b"hello, world"))
        .await
        .unwrap();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.path().join("uploads/a"))
        .unwrap();
    file.set_len(5).unwrap();
    assert_eq!(store.offset(&id("a")).await.unwrap(), 5);
    let wrong = store.seal(&id("a"), blob(b"hello, world")).await;
    assert!(
        matches!(wrong, Err(ArtifactError::WrongHash { actual, .. }) if actual == blob(b"hello"))
    );
    let wrong = store.append(&id("a"), 6, body(b"x")).await;
    assert!(
        matches!(wrong, Err(ArtifactError::WrongOffset { actual: 5, .. })),
        "{wrong:?}"
    );
    assert_eq!(store.append(&id("a"), 5, body(b"!")).await.unwrap(), 6);
    store.seal(&id("a"), blob(b"hello!")).await.unwrap();
}

#[tokio::test]
async fn a_blob_that_became_shorter_is_an_error_and_not_its_end() {
    let place = TempDir::new().unwrap();
    let store = ArtifactsDir::open(place.path()).unwrap();
    let bytes = vec![7; 3 << 20];
    store.append(&id("a"), 0, body(&bytes)).await.unwrap();
    store.seal(&id("a"), blob(&bytes)).await.unwrap();
    let source = Source::Blob(blob(&bytes));
    let reading = store.read(&source, 0..u64::MAX).await.unwrap();
    let name = blob(&bytes).to_string();
    let path = place.path().join("blobs").join(&name[..2]).join(&name);
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    let error = bytes_of(reading, usize::MAX).await.unwrap_err();
    assert!(error.to_string().contains("shorter"), "{error}");
}

/// A mounted file system of 2 MiB, unmounted at the end. Only root can make one.
struct Small(TempDir);

impl Small {
    fn new() -> Result<Self, String> {
        let small = Self(TempDir::new().map_err(|error| error.to_string())?);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "grange-test"])
            .arg(small.path())
            .output()
            .map_err(|error| format!("no `mount`: {error}"))?;
        if mounted.status.success() {
            Ok(small)
        } else {
            Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned())
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Where nothing was mounted, there is nothing to be undone.
        let _ = Command::new("umount")
            .arg(self.path())
            .stderr(Stdio::null())
            .status();
    }
}

#[tokio::test]
async fn a_full_disk_keeps_a_prefix_and_passes() {
    let small = match Small::new() {
        Ok(small) => small,
        Err(why) => {
            eprintln!("skipped: no small file system can be made here: {why}");
            return;
        }
    };
    let bytes: Vec<u8> = (0..1_500_000_u32)
        .map(|index| (index.wrapping_mul(index) >> 7) as u8)
        .collect();
    let ballast = small.path().join("ballast");
    let mut store = ArtifactsDir::open(small.path().join("artifacts")).unwrap();
    // Once by the process that began the upload, once by another.
    for restart in [false, true] {
        fs::write(&ballast, vec![0; 1 << 20]).unwrap();
        let full = store.append(&id("a"), 0, body(&bytes)).await;
        assert!(matches!(full, Err(ArtifactError::Full)), "{full:?}");
        let kept = store.offset(&id("a")).await.unwrap();
        assert!(0 < kept && kept < bytes.len() as u64, "{kept}");
        let again = store
            .append(
                &id("a"),
                kept,
                body(&bytes[usize::try_from(kept).unwrap()..]),
            )
            .await;
        assert!(matches!(again, Err(ArtifactError::Full)), "{again:?}");
        fs::remove_file(&ballast).unwrap();
        if restart {
            drop(store);
            store = ArtifactsDir::open(small.path().join("artifacts")).unwrap();
        }
        let kept = store.offset(&id("a")).await.unwrap();
        let rest = body(&bytes[usize::try_from(kept).unwrap()..]);
        assert_eq!(
            store.append(&id("a"), kept, rest).await.unwrap(),
            bytes.len() as u64
        );
        store.seal(&id("a"), blob(&bytes)).await.unwrap();
        store.delete(blob(&bytes)).await.unwrap();
    }
}
