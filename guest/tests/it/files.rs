//! Files, both ways.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use grange_guest::client::{ClientError, Guest};
use grange_guest::protocol::{Digest, Put, Turn};

use crate::rig::{Process, soon};

/// A file of ours, whoever we are.
fn put(path: &Path, bytes: &[u8]) -> Put {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    Put::of(path.to_str().unwrap(), bytes).owner(user.as_raw(), group.as_raw())
}

async fn refused(guest: &Guest, put: Put, bytes: &[u8]) -> String {
    match soon(guest.put(put, bytes)).await {
        Err(ClientError::Refused {
            turn: Turn::Caller,
            reason,
        }) => reason,
        other => panic!("{other:?}"),
    }
}

/// All names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out() {
    let (process, directory) = (Process::serving(), tempfile::tempdir().unwrap());
    let guest = process.guest().await;
    let path = directory.path().join("a/b/file");
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    soon(guest.put(put(&path, &bytes).mode(0o640), bytes.as_slice()))
        .await
        .unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode(), 0o100_640);
    assert_eq!(names(path.parent().unwrap()), ["file"]);

    let mut out = Vec::new();
    let got = soon(guest.get(path.to_str().unwrap(), &mut out, 4_000_000))
        .await
        .unwrap();
    assert!(out == bytes);
    assert_eq!(
        (got.size, got.sha256, got.mode),
        (4_000_000, Digest::of(&bytes), 0o640)
    );
    let much = soon(guest.get(path.to_str().unwrap(), &mut out, 3_999_999)).await;
    assert!(
        matches!(much, Err(ClientError::TooMuch(3_999_999))),
        "{much:?}"
    );
    guest.ping().await.unwrap();
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let (process, directory) = (Process::serving(), tempfile::tempdir().unwrap());
    let guest = process.guest().await;
    let path = directory.path().join("empty");
    soon(guest.put(put(&path, b""), b"".as_slice()))
        .await
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
    let mut out = Vec::new();
    let got = soon(guest.get(path.to_str().unwrap(), &mut out, 0))
        .await
        .unwrap();
    assert_eq!((got.size, out.len()), (0, 0));
}

#[tokio::test]
async fn what_is_not_as_announced_changes_nothing() {
    let (process, directory) = (Process::serving(), tempfile::tempdir().unwrap());
    let guest = process.guest().await;
    let path = directory.path().join("file");
    fs::write(&path, "old").unwrap();
    let new = put(&path, b"new bytes");
    for bytes in ["new byte", "new bytez", "new bytes!", ""] {
        refused(&guest, new.clone(), bytes.as_bytes()).await;
    }
    // More than a window beyond the announced size: it is refused in the middle.
    refused(&guest, new.clone(), &vec![0; 3_000_000]).await;
    refused(&guest, new.clone().mode(0o10000), b"new bytes").await;
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(directory.path()), ["file"]);
    soon(guest.put(new, b"new bytes".as_slice())).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new bytes");
}

#[tokio::test]
async fn half_a_file_is_removed_when_its_sender_gives_up() {
    let (process, directory) = (Process::serving(), tempfile::tempdir().unwrap());
    let guest = process.guest().await;
    let path = directory.path().join("file");
    let (mut write, read) = tokio::io::duplex(4096);
    let sending = tokio::spawn({
        let (guest, put) = (guest.clone(), put(&path, &[1; 10_000_000]));
        async move { guest.put(put, read).await }
    });
    // More than could be on the way: some of it lies in the guest.
    soon(tokio::io::AsyncWriteExt::write_all(
        &mut write,
        &[1; 1_000_000],
    ))
    .await
    .unwrap();
    assert_eq!(names(directory.path()).len(), 1);
    sending.abort();
    soon(async {
        while !names(directory.path()).is_empty() {
            guest.ping().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn only_absolute_plain_paths_are_taken() {
    let process = Process::serving();
    let guest = process.guest().await;
    for path in ["etc/passwd", "/tmp/../etc/passwd", "/tmp/", "/", ""] {
        refused(&guest, Put::of(path, b""), b"").await;
        let got = soon(guest.get(path, tokio::io::sink(), 9)).await;
        assert!(
            matches!(
                got,
                Err(ClientError::Refused {
                    turn: Turn::Caller,
                    ..
                })
            ),
            "{path}"
        );
    }
    for path in ["/proc", "/dev/null", "/no/such/file"] {
        let got = soon(guest.get(path, tokio::io::sink(), 9)).await;
        assert!(
            matches!(
                got,
                Err(ClientError::Refused {
                    turn: Turn::Caller,
                    ..
                })
            ),
            "{path}"
        );
    }
}

#[tokio::test]
async fn seeds_and_clocks_are_checked() {
    let process = Process::serving();
    let guest = process.guest().await;
    for bytes in [0, 31, 257] {
        let seeded = guest.seed(&vec![1; bytes]).await;
        assert!(
            matches!(
                seeded,
                Err(ClientError::Refused {
                    turn: Turn::Caller,
                    ..
                })
            ),
            "{bytes}"
        );
    }
    let set = guest.set_clock(i64::MIN).await;
    assert!(matches!(set, Err(ClientError::Refused { .. })), "{set:?}");
    // Good ones are tried in a machine of their own: this one's clock is others' business.
}
