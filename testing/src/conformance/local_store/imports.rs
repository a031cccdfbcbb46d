//! Imports that go well.

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use grange_derivation::{StorePath, nar};
use grange_interfaces::{ItemInfo, LocalStore};

use super::items::{Made, bytes_of_export, made, of_nar, salt};
use crate::conformance::LocalStoreBench;

/// A tree with everything that a nar can have.
fn tree() -> Vec<u8> {
    let write = || -> std::io::Result<Vec<u8>> {
        let mut encoder = nar::Encoder::new(Vec::new());
        encoder.directory()?;
        encoder.entry(b"directory")?;
        encoder.directory()?;
        encoder.end_directory()?;
        encoder.entry("fil\u{e9} ~".as_bytes())?;
        encoder.regular(false, 0)?;
        encoder.data(b"")?;
        encoder.entry(b"link")?;
        encoder.symlink(b"../no where")?;
        encoder.entry(b"program")?;
        let salt = salt();
        encoder.regular(true, salt.len() as u64)?;
        encoder.data(salt.as_bytes())?;
        encoder.end_directory()?;
        Ok(encoder.finish()?.0)
    };
    write().expect("memory takes it")
}

fn said(info: &ItemInfo) -> ItemInfo {
    ItemInfo {
        // "If that is known."
        deriver: None,
        ..info.clone()
    }
}

/// "`export` gives the uncompressed nar with the hash that `query` says": what was imported.
pub async fn an_import_is_what_is_exported(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let low = made(&*store, "low", 0, &[]).import(&*store).await;
    let other = made(&*store, "other", 0, &[]).import(&*store).await;
    let top = made(&*store, "top", 2_000_000, &[&other, &low])
        .import(&*store)
        .await;
    let tree = of_nar(&*store, "tree", tree(), &[&low])
        .import(&*store)
        .await;
    for item in [low, top, tree] {
        let found = store.query(std::slice::from_ref(item.path())).await;
        let found = found.expect("it answers").remove(0).expect("it is valid");
        assert_eq!(said(&found), item.info);
        let nar = bytes_of_export(&*store, item.path()).await;
        assert!(nar == item.nar, "{}: other bytes", item.path());
    }
}

/// "In the order asked; none for what is not valid."
pub async fn query_keeps_the_order(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let mut items = Vec::new();
    for number in 0..5 {
        let item = made(&*store, &format!("item-{number}"), 0, &[]);
        items.push(item.import(&*store).await);
    }
    let none = made(&*store, "none", 0, &[]);
    let mut asked: Vec<StorePath> = Vec::new();
    for item in items.iter().rev() {
        asked.extend([item.path(), none.path(), item.path()].map(Clone::clone));
    }
    let found = store.query(&asked).await.expect("it answers");
    let found: Vec<_> = found
        .into_iter()
        .map(|info| info.map(|info| info.path))
        .collect();
    let expected = asked
        .into_iter()
        .map(|path| (path != *none.path()).then_some(path));
    assert_eq!(found, expected.collect::<Vec<_>>());
    assert_eq!(store.query(&[]).await.expect("it answers"), []);
}

/// "Its references are valid (itself excepted)."
pub async fn an_item_may_refer_to_itself(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let low = made(&*store, "low", 0, &[]).import(&*store).await;
    let mut own = made(&*store, "own", 0, &[&low]);
    own.info.references.push(own.info.path.clone());
    own.info.references.sort();
    let own = own.import(&*store).await;
    let found = store.query(std::slice::from_ref(own.path())).await;
    let found = found.expect("it answers").remove(0).expect("it is valid");
    assert_eq!(found.references, own.info.references);
    store
        .delete(own.path())
        .await
        .expect("nothing else refers to it");
}

/// "Importing what is valid succeeds and does not read the body."
pub async fn what_is_valid_is_not_read_again(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let item = made(&*store, "item", 0, &[]).import(&*store).await;
    let poison = stream::poll_fn(|_| panic!("the body is read")).boxed();
    store.import(&item.info, poison).await.expect("it is valid");
    assert!(bytes_of_export(&*store, item.path()).await == item.nar);
}

/// The same item from several sides at once is one item.
pub async fn the_same_import_at_once_is_one(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let item: Made = made(&*store, "item", 300_000, &[]);
    let imports = (0..8).map(|_| store.import(&item.info, item.body()));
    for imported in join_all(imports).await {
        imported.expect("it is imported, or valid");
    }
    assert!(bytes_of_export(&*store, item.path()).await == item.nar);
}

/// What is valid is so for the next process as well.
pub async fn items_outlive_their_process(bench: &impl LocalStoreBench) {
    let Some(store) = bench.open().await else {
        return;
    };
    let low = made(&*store, "low", 0, &[]).import(&*store).await;
    let top = made(&*store, "top", 100_000, &[&low]).import(&*store).await;
    drop(store);
    let store = bench.open().await.expect("it was there");
    for item in [low, top] {
        let found = store.query(std::slice::from_ref(item.path())).await;
        let found = found.expect("it answers").remove(0).expect("it is valid");
        assert_eq!(said(&found), item.info);
        assert!(bytes_of_export(&*store, item.path()).await == item.nar);
    }
}
