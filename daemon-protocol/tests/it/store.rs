//! The store of a real daemon.

use std::time::Duration;

use grange_daemon_protocol::{DaemonError, DaemonStore, FarmKey};
use grange_derivation::{Dialect, nar, paths};
use grange_interfaces::{LocalStore, LocalStoreError};
use grange_signatures::guix::SecretKey;

use crate::rig::{Farm, FirstOutput, body, config, farm, item};

async fn both() -> Vec<Farm> {
    let mut farms = Vec::new();
    farms.extend(farm(Dialect::Guix).await);
    farms.extend(farm(Dialect::Nix).await);
    farms
}

/// A path that nothing makes.
fn made_up(farm: &Farm, name: &str) -> grange_derivation::StorePath {
    let drv = farm.drv(farm.shell(name, "true"));
    drv.out().clone()
}

#[tokio::test]
async fn items_with_references_come_in_and_go_out_as_they_were() {
    for farm in both().await {
        let mut encoder = nar::Encoder::new(Vec::new());
        encoder.directory().unwrap();
        encoder.entry(b"big").unwrap();
        encoder.regular(true, 3_000_000).unwrap();
        encoder.data(&vec![7; 3_000_000]).unwrap();
        encoder.entry(b"link").unwrap();
        encoder
            .symlink(farm.busybox.to_string().as_bytes())
            .unwrap();
        encoder.end_directory().unwrap();
        let (nar, _) = encoder.finish().unwrap();
        let path = made_up(&farm, "imported");
        let mut info = item(path.clone(), &nar, vec![farm.busybox.clone(), path.clone()]);
        info.references.sort();
        farm.store.import(&info, body(nar.clone())).await.unwrap();
        let found = farm.store.query(std::slice::from_ref(&path)).await.unwrap();
        assert_eq!(found, [Some(info.clone())]);
        assert!(farm.nar(&path).await == nar);
        // Valid items are not read again.
        let broken = futures::stream::iter([Err(std::io::Error::other("not read"))]);
        farm.store.import(&info, Box::pin(broken)).await.unwrap();
        let dependent = made_up(&farm, "dependent");
        let small = nar::of_file(b"small");
        let info = item(dependent.clone(), &small, vec![path.clone()]);
        farm.store.import(&info, body(small)).await.unwrap();
        let error = farm.store.delete(&path).await.unwrap_err();
        assert!(matches!(error, LocalStoreError::InUse { .. }), "{error}");
        farm.store.delete(&dependent).await.unwrap();
        farm.store.delete(&path).await.unwrap();
        farm.store.delete(&path).await.unwrap();
        let error = farm.store.export(&path).await.err().unwrap();
        assert!(matches!(error, LocalStoreError::NotValid(_)), "{error}");
    }
}

#[tokio::test]
async fn what_is_wrong_does_not_come_in() {
    for farm in both().await {
        let path = made_up(&farm, "wrong");
        let nar = nar::of_file(&[1; 2_000_000]);
        let right = item(path.clone(), &nar, vec![]);
        let mut other = nar.clone();
        other[1_000_000] = 2;
        let mut long = nar.clone();
        long.extend([0; 8]);
        for bytes in [
            other,
            nar[..nar.len() - 8].to_vec(),
            long,
            vec![1; nar.len()],
        ] {
            let error = farm.store.import(&right, body(bytes)).await.unwrap_err();
            assert!(matches!(error, LocalStoreError::Mismatch { .. }), "{error}");
        }
        let begun = vec![
            Ok(nar[..1_500_000].to_vec().into()),
            Err(std::io::Error::other("gone")),
        ];
        let error = farm
            .store
            .import(&right, Box::pin(futures::stream::iter(begun)))
            .await;
        assert!(matches!(error, Err(LocalStoreError::Body(_))), "{error:?}");
        let missing = made_up(&farm, "missing");
        let info = item(path.clone(), &nar, vec![missing.clone()]);
        match farm
            .store
            .import(&info, body(nar.clone()))
            .await
            .unwrap_err()
        {
            LocalStoreError::MissingReference { reference, .. } => assert_eq!(reference, missing),
            other => panic!("{other}"),
        }
        assert_eq!(
            farm.store.query(std::slice::from_ref(&path)).await.unwrap(),
            [None]
        );
        // After all that, it still can.
        farm.store.import(&right, body(nar)).await.unwrap();
        farm.store.delete(&path).await.unwrap();
    }
}

#[tokio::test]
async fn sources_that_are_not_what_they_say() {
    for farm in both().await {
        let nar = nar::of_file(&vec![3; 1_500_000]);
        let mut info = item(farm.busybox.clone(), &nar, vec![]);
        info.path = paths::source_path(
            farm.store.store_dir(),
            "source",
            [],
            false,
            &info.nar_hash.0,
        )
        .unwrap();
        let mut other = nar.clone();
        other[700_000] = 1;
        let error = farm.store.import(&info, body(other)).await.unwrap_err();
        assert!(matches!(error, LocalStoreError::Mismatch { .. }), "{error}");
        farm.store.import(&info, body(nar)).await.unwrap();
        farm.store.delete(&info.path).await.unwrap();
    }
}

#[tokio::test]
async fn an_export_that_nobody_reads_to_its_end() {
    for farm in both().await {
        let body = farm.store.export(&farm.busybox).await.unwrap();
        drop(body);
        assert!(!farm.nar(&farm.busybox).await.is_empty());
    }
}

#[tokio::test]
async fn garbage_that_is_needed_stays() {
    for dialect in [Dialect::Guix, Dialect::Nix] {
        let Some(mut config) = config(dialect) else {
            continue;
        };
        config.linger = Duration::from_secs(3600);
        let Some(farm) = crate::rig::farm_with(dialect, config).await else {
            continue;
        };
        let path = made_up(&farm, "lingers");
        let nar = nar::of_file(b"lingers");
        let info = item(path.clone(), &nar, vec![]);
        farm.store.import(&info, body(nar.clone())).await.unwrap();
        // Another client's deletion does not get it.
        let other = DaemonStore::connect(crate::rig::config(dialect).unwrap())
            .await
            .unwrap();
        let error = other.delete(&path).await.unwrap_err();
        assert!(matches!(error, LocalStoreError::InUse { .. }), "{error}");
        assert_eq!(farm.nar(&path).await, nar);
        farm.store.delete(&path).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_not_authorised() {
    let Some(mut config) = config(Dialect::Guix) else {
        return;
    };
    let key = SecretKey::generate(&[9; 32]);
    let public = String::from_utf8(key.public().to_file()).unwrap();
    config.farm_key = Some(FarmKey::Guix(key));
    let store = DaemonStore::connect(config.clone()).await.unwrap();
    match store.probe().await.unwrap_err() {
        DaemonError::Unauthorised { command, .. } => {
            assert!(command.starts_with("guix archive --authorize"), "{command}");
            assert!(command.contains(public.trim_end()), "{command}");
        }
        other => panic!("{other}"),
    }
    config.farm_key = None;
    let store = DaemonStore::connect(config).await.unwrap();
    assert_eq!(store.probe().await, Err(DaemonError::NoKey));
}

#[tokio::test]
async fn a_store_of_ones_own() {
    for dialect in [Dialect::Guix, Dialect::Nix] {
        let Some(mut config) = config(dialect) else {
            continue;
        };
        config.exclusive = true;
        let Some(farm) = crate::rig::farm_with(dialect, config).await else {
            continue;
        };
        let one = farm.drv(farm.shell("one", "echo > $out"));
        farm.build(&one).await.built();
        let script = format!("echo {} > $out", one.out());
        let other = farm.drv(farm.shell("other", &script).input(&one, &["out"]));
        farm.build(&other).await.built();
        farm.store.delete(one.out()).await.unwrap();
        let left = farm
            .store
            .query(&[one.out().clone(), other.out().clone()])
            .await
            .unwrap();
        assert_eq!(left, [None, None]);
    }
}
