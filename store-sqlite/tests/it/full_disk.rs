//! A disk without room: a small file system in memory, which only root can make.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use grange_interfaces::StoreError;
use grange_model::Seq;
use tempfile::TempDir;

use crate::support::{Writer, assert_whole, open};

/// A mounted file system of 2 MiB, unmounted at the end.
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
async fn a_full_disk_loses_nothing_and_passes() {
    let small = match Small::new() {
        Ok(small) => small,
        Err(why) => {
            eprintln!("skipped: no small file system can be made here: {why}");
            return;
        }
    };
    let ballast = small.path().join("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let path = small.path().join("grange.db");
    let mut writer = Writer::claim(open(&path).unwrap()).await;
    let full = loop {
        match writer.write().await {
            Ok(()) => assert!(writer.seq < Seq(10_000), "there is no end of the disk"),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::Unavailable(_)), "{full:?}");
    let again = writer.write().await;
    assert!(
        matches!(again, Err(StoreError::Unavailable(_))),
        "{again:?}"
    );
    assert_whole(&writer.store, writer.term, writer.seq).await;
    fs::remove_file(&ballast).unwrap();
    for _ in 0..10 {
        writer.write().await.unwrap();
    }
    assert_whole(&writer.store, writer.term, writer.seq).await;
    let seq = writer.seq;
    drop(writer);
    let writer = Writer::claim(open(&path).unwrap()).await;
    assert_eq!(writer.seq, seq);
    assert_whole(&writer.store, writer.term, seq).await;
}
