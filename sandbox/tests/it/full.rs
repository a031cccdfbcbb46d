//! Disks that are full.

use std::sync::Arc;

use grange_derivation::Dialect;
use grange_interfaces::{BuildError, Builder, LocalStore, LocalStoreError, Log, Stop};
use grange_model::SetupProblem;
use grange_sandbox::{SandboxBuilder, SandboxConfig, SandboxStore, StoreConfig};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::fixture::{Farm, FirstOutput, farm, helper};

/// A small file system; gone with this.
struct Small(tempfile::TempDir);

impl Small {
    fn new(size: &std::ffi::CStr) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        match mount("none", directory.path(), "tmpfs", MountFlags::empty(), size) {
            Ok(()) => Some(Self(directory)),
            Err(error) => {
                eprintln!("skipped: cannot mount a small file system: {error}");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}

/// A farm whose store lies on a small file system. In this order: the store is closed before.
async fn small_farm(size: &std::ffi::CStr) -> Option<(Farm, Small)> {
    let small = Small::new(size)?;
    let mut farm = farm(Dialect::Guix).await?;
    let store = StoreConfig::new(small.0.path().join("store"), farm.store_dir());
    let store = Arc::new(SandboxStore::open(store).unwrap());
    let busybox = farm.store.info(&farm.busybox).unwrap();
    store
        .import(&busybox, farm.store.export(&farm.busybox).await.unwrap())
        .await
        .unwrap();
    let mut config = SandboxConfig::default();
    config.helper = helper();
    farm.builder = SandboxBuilder::new(Arc::clone(&store), config)
        .await
        .unwrap();
    farm.store = store;
    Some((farm, small))
}

#[tokio::test]
async fn no_room_for_an_import() {
    let Some((farm, _small)) = small_farm(c"size=8m").await else {
        return;
    };
    let nar = grange_derivation::nar::of_file(&vec![0; 16 << 20]);
    let path = farm.drv(farm.shell("large", "")).out().clone();
    let info = grange_interfaces::ItemInfo {
        path: path.clone(),
        nar_hash: grange_model::NarHash(grange_derivation::Hash::sha256(&nar).to_sha256().unwrap()),
        nar_size: nar.len() as u64,
        references: vec![],
        deriver: None,
    };
    let body = futures::StreamExt::boxed(futures::stream::iter([Ok(nar.into())]));
    assert!(matches!(
        farm.store.import(&info, body).await,
        Err(LocalStoreError::Full)
    ));
    assert!(farm.store.info(&path).is_none());
    // There is room again.
    farm.build(&farm.drv(farm.shell("small", "echo > $out")))
        .await
        .built();
}

#[tokio::test]
async fn no_room_for_an_output() {
    let Some((farm, _small)) = small_farm(c"size=8m").await else {
        return;
    };
    let drv = farm.drv(farm.shell("large", "dd if=/dev/zero of=$out bs=1M count=16"));
    let outcome = farm.build(&drv).await;
    // The builder is told, and fails; what it has to say is in its log.
    assert!(
        matches!(outcome.error(), BuildError::Failed { .. }),
        "{:?}",
        outcome.result
    );
    assert!(
        String::from_utf8_lossy(&outcome.log).contains("No space left"),
        "{}",
        String::from_utf8_lossy(&outcome.log)
    );
    assert!(farm.store.info(drv.out()).is_none());
    farm.build(&farm.drv(farm.shell("small", "echo > $out")))
        .await
        .built();
}

#[tokio::test]
async fn no_room_for_a_record() {
    let Some((farm, small)) = small_farm(c"size=8m,nr_inodes=200").await else {
        return;
    };
    // All files that there can be, made while the build runs.
    let (log, mut receiver) = Log::new(1);
    let drv = farm.drv(farm.shell("record", "echo > $out; echo ready; $bb sleep 0.5"));
    let job = farm.job(&drv);
    let fill = async {
        receiver.next().await.unwrap();
        let files = (0..).map(|number| std::fs::write(small.0.path().join(number.to_string()), ""));
        let count = files.take_while(Result::is_ok).count();
        while receiver.next().await.is_some() {}
        count
    };
    let (result, count) =
        futures::future::join(farm.builder.build(&job, log, Stop::never()), fill).await;
    assert!(
        matches!(
            result,
            Err(BuildError::Setup {
                problem: SetupProblem::DiskFull,
                ..
            })
        ),
        "{result:?}"
    );
    assert!(farm.store.info(drv.out()).is_none());
    for number in 0..count {
        std::fs::remove_file(small.0.path().join(number.to_string())).unwrap();
    }
    farm.build(&drv).await.built();
}
