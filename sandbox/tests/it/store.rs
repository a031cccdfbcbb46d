//! The store: what is valid, what stays so, and what is refused.

use std::fs;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use grange_derivation::{Hash, StoreDir, StorePath, nar, paths};
use grange_interfaces::{Body, ItemInfo, LocalStore, LocalStoreError, bytes_of, empty_body};
use grange_model::NarHash;
use grange_sandbox::{OpenError, SandboxStore, StoreConfig};

use crate::fixture::Directory;

fn open(directory: &Path) -> SandboxStore {
    SandboxStore::open(StoreConfig::new(directory, StoreDir::guix())).unwrap()
}

/// What is known of a nar as an item of that name that refers to others.
fn info(name: &str, nar: &[u8], references: &[&StorePath]) -> ItemInfo {
    let sha256 = Hash::sha256(nar).to_sha256().unwrap();
    let path = paths::source_path(
        &StoreDir::guix(),
        name,
        references.iter().copied(),
        false,
        &sha256,
    )
    .unwrap();
    let mut references: Vec<_> = references.iter().map(|path| (*path).clone()).collect();
    references.sort();
    ItemInfo {
        path,
        nar_hash: NarHash(sha256),
        nar_size: nar.len() as u64,
        references,
        deriver: None,
    }
}

fn body(nar: &[u8]) -> Body {
    let pieces: Vec<_> = nar
        .chunks(100)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    futures::stream::iter(pieces).boxed()
}

async fn add(store: &SandboxStore, name: &str, references: &[&StorePath]) -> ItemInfo {
    let nar = nar::of_file(format!("contents of {name}").as_bytes());
    let info = info(name, &nar, references);
    store.import(&info, body(&nar)).await.unwrap();
    info
}

async fn exported(store: &SandboxStore, path: &StorePath) -> Bytes {
    bytes_of(store.export(path).await.unwrap(), 1 << 24)
        .await
        .unwrap()
}

fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A tree with everything that there can be.
fn tree_nar() -> Vec<u8> {
    let mut encoder = nar::Encoder::new(Vec::new());
    encoder.directory().unwrap();
    encoder.entry(b"directory").unwrap();
    encoder.directory().unwrap();
    encoder.end_directory().unwrap();
    encoder.entry(b"link").unwrap();
    encoder.symlink(b"nowhere").unwrap();
    encoder.entry(b"program").unwrap();
    encoder.regular(true, 300_000).unwrap();
    encoder.contents(&mut &vec![7; 300_000][..]).unwrap();
    encoder.end_directory().unwrap();
    encoder.finish().unwrap().0
}

#[tokio::test]
async fn import_export_query_delete() {
    let directory = Directory::new();
    let store = open(directory.path());
    let nar = tree_nar();
    let tree = info("tree", &nar, &[]);
    store.import(&tree, body(&nar)).await.unwrap();
    assert!(exported(&store, &tree.path).await == nar);
    let other = add(&store, "other", &[&tree.path]).await;
    let unknown = info("unknown", b"", &[]);
    let known = store
        .query(&[other.path.clone(), unknown.path.clone(), tree.path.clone()])
        .await
        .unwrap();
    assert_eq!(known, [Some(other.clone()), None, Some(tree.clone())]);
    // What is valid is not read again.
    let poison = futures::stream::poll_fn(|_| panic!("the body is read")).boxed();
    store.import(&tree, poison).await.unwrap();
    assert!(
        matches!(store.export(&unknown.path).await, Err(LocalStoreError::NotValid(path)) if path == unknown.path)
    );
    store.delete(&unknown.path).await.unwrap();
    // What refers to an item goes with it, unless it is in use.
    let hold = store.hold(std::slice::from_ref(&other.path)).unwrap();
    for path in [&other.path, &tree.path] {
        assert!(matches!(
            store.delete(path).await,
            Err(LocalStoreError::InUse { path, .. }) if path == other.path
        ));
    }
    drop(hold);
    store.delete(&tree.path).await.unwrap();
    assert_eq!(
        store.query(&[tree.path, other.path]).await.unwrap(),
        [None, None]
    );
    for place in ["store", "info", "incoming"] {
        assert_eq!(entries(&directory.path().join(place)), [""; 0], "{place}");
    }
}

#[tokio::test]
async fn an_export_keeps_its_item() {
    let directory = Directory::new();
    let store = open(directory.path());
    // More than may wait.
    let nar = nar::of_file(&vec![1; 4 << 20]);
    let large = info("large", &nar, &[]);
    store.import(&large, body(&nar)).await.unwrap();
    let mut reading = store.export(&large.path).await.unwrap();
    let first = reading.next().await.unwrap().unwrap();
    assert!(matches!(
        store.delete(&large.path).await,
        Err(LocalStoreError::InUse { .. })
    ));
    let rest = bytes_of(reading, nar.len()).await.unwrap();
    assert!([first, rest].concat() == nar);
}

#[tokio::test]
async fn imports_that_are_not_what_was_announced() {
    let directory = Directory::new();
    let store = open(directory.path());
    let nar = tree_nar();
    let tree = info("tree", &nar, &[]);
    let missing = info("missing", b"", &[]).path;
    let with = |change: &dyn Fn(&mut ItemInfo)| {
        let mut info = tree.clone();
        change(&mut info);
        info
    };
    let mismatches = [
        (with(&|info| info.nar_hash.0[0] ^= 1), nar.clone()),
        (with(&|info| info.nar_size -= 1), nar.clone()),
        (with(&|info| info.nar_size += 1), nar.clone()),
        (with(&|_| {}), nar[..nar.len() - 8].to_vec()),
        (with(&|_| {}), [nar.as_slice(), &[0; 8]].concat()),
        (with(&|_| {}), b"no nar".to_vec()),
        (with(&|_| {}), Vec::new()),
    ];
    for (info, nar) in &mismatches {
        let result = store.import(info, body(nar)).await;
        assert!(
            matches!(result, Err(LocalStoreError::Mismatch { .. })),
            "{result:?}"
        );
    }
    let result = store
        .import(
            &with(&|info| info.references.push(missing.clone())),
            body(&nar),
        )
        .await;
    assert!(
        matches!(result, Err(LocalStoreError::MissingReference { reference, .. }) if reference == missing)
    );
    let broken = body(&nar[..1000])
        .chain(futures::stream::iter([Err(io::Error::other("broken"))]))
        .boxed();
    assert!(matches!(
        store.import(&tree, broken).await,
        Err(LocalStoreError::Body(_))
    ));
    let elsewhere = StorePath::new(&StoreDir::nix(), [0; 20], "tree").unwrap();
    let result = store
        .import(&with(&|info| info.path = elsewhere.clone()), empty_body())
        .await;
    assert!(matches!(result, Err(LocalStoreError::Mismatch { .. })));
    assert_eq!(
        store.query(std::slice::from_ref(&tree.path)).await.unwrap(),
        [None]
    );
    for place in ["store", "info", "incoming"] {
        assert_eq!(entries(&directory.path().join(place)), [""; 0], "{place}");
    }
    // Itself is a reference that need not be there.
    let own = with(&|info| info.references = vec![info.path.clone()]);
    store.import(&own, body(&nar)).await.unwrap();
    store.delete(&own.path).await.unwrap();
}

#[tokio::test]
async fn an_import_that_is_given_up_leaves_nothing() {
    let directory = Directory::new();
    let store = open(directory.path());
    let nar = tree_nar();
    let tree = info("tree", &nar, &[]);
    let endless = body(&nar[..nar.len() / 2])
        .chain(futures::stream::pending())
        .boxed();
    tokio::select! {
        biased;
        result = store.import(&tree, endless) => panic!("it ended: {result:?}"),
        () = until(|| !entries(&directory.path().join("incoming")).is_empty()) => {}
    }
    until(|| entries(&directory.path().join("incoming")).is_empty()).await;
    store.import(&tree, body(&nar)).await.unwrap();
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn the_same_import_many_times_at_once() {
    let directory = Directory::new();
    let store = open(directory.path());
    let nar = tree_nar();
    let tree = info("tree", &nar, &[]);
    let imports = (0..8).map(|_| store.import(&tree, body(&nar)));
    for result in futures::future::join_all(imports).await {
        result.unwrap();
    }
    assert!(exported(&store, &tree.path).await == nar);
    assert_eq!(entries(&directory.path().join("incoming")), [""; 0]);
}

#[tokio::test]
async fn reopened() {
    let directory = Directory::new();
    let (one, other) = {
        let store = open(directory.path());
        let again = SandboxStore::open(StoreConfig::new(directory.path(), StoreDir::guix()));
        assert!(matches!(again, Err(OpenError::InUse(_))));
        let one = add(&store, "one", &[]).await;
        let other = add(&store, "other", &[&one.path]).await;
        (one, other)
    };
    // What an earlier process left half done.
    let half = info("half", b"", &[]).path;
    fs::write(
        directory.path().join("store").join(half.base_name()),
        "half",
    )
    .unwrap();
    fs::create_dir_all(directory.path().join("incoming/0/x")).unwrap();
    fs::create_dir_all(directory.path().join("build/1-0/build")).unwrap();
    fs::write(directory.path().join("info").join(half.base_name()), "{").unwrap();
    let store = open(directory.path());
    let known = store
        .query(&[one.path.clone(), other.path.clone(), half.clone()])
        .await
        .unwrap();
    assert_eq!(known, [Some(one.clone()), Some(other.clone()), None]);
    // Opening found out again what refers to what.
    let hold = store.hold(std::slice::from_ref(&other.path)).unwrap();
    assert!(matches!(
        store.delete(&one.path).await,
        Err(LocalStoreError::InUse { path, .. }) if path == other.path
    ));
    drop(hold);
    for place in ["incoming", "build"] {
        assert_eq!(entries(&directory.path().join(place)), [""; 0], "{place}");
    }
    // What lies where an item comes does not stand in its way.
    let nar = nar::of_file(b"half");
    let half = ItemInfo {
        path: half,
        ..info("half", &nar, &[])
    };
    store.import(&half, body(&nar)).await.unwrap();
    assert!(exported(&store, &half.path).await == nar);
}

/// After a power cut, files can be shorter than they were; those that were synced are whole.
#[tokio::test]
async fn after_a_power_cut() {
    let directory = Directory::new();
    let store = open(directory.path());
    let synced = add(&store, "synced", &[]).await;
    drop(store);
    let store = open(directory.path());
    let whole = add(&store, "whole", &[]).await;
    let cut = add(&store, "cut", &[]).await;
    let user = add(&store, "user", &[&cut.path]).await;
    let files = ["settled"].map(|name| fs::read(directory.path().join(name)).unwrap());
    drop(store);
    // As it was before it was closed, on a machine that started since.
    let mut settled: serde_json::Value = serde_json::from_slice(&files[0]).unwrap();
    settled["boot"] = "another".into();
    fs::write(directory.path().join("settled"), settled.to_string()).unwrap();
    for info in [&synced, &cut] {
        let file = directory.path().join("store").join(info.path.base_name());
        fs::remove_file(&file).unwrap();
        fs::write(&file, "").unwrap();
    }
    let store = open(directory.path());
    let paths = [&synced, &whole, &cut, &user].map(|info| info.path.clone());
    let valid: Vec<_> = store
        .query(&paths)
        .await
        .unwrap()
        .iter()
        .map(Option::is_some)
        .collect();
    // The first was on disk, so it is not looked at again; the last refers to what is gone.
    assert_eq!(valid, [true, true, false, false]);
    drop(store);
    // Nothing is in doubt any more.
    let store = open(directory.path());
    assert!(store.info(&whole.path).is_some());
}

/// What nobody needs goes, what was of use last goes last, and what refers to others goes first.
#[tokio::test]
async fn garbage_is_collected_from_the_oldest_on() {
    let directory = Directory::new();
    let store = open(directory.path());
    let low = add(&store, "low", &[]).await;
    let old = add(&store, "old", &[]).await;
    let top = add(&store, "top", &[&low.path]).await;
    let kept = add(&store, "kept", &[]).await;
    let held = add(&store, "held", &[]).await;
    let hold = store.hold(std::slice::from_ref(&held.path)).unwrap();
    // Opened anew, the order is that in which they came; then one of them is used again.
    drop(store.hold(std::slice::from_ref(&old.path)).unwrap());
    let keep = [kept.path.clone(), low.path.clone()];
    let all = u64::MAX;
    let size = old.nar_size;
    let looked = store.collect_garbage(all, &keep, false).await.unwrap();
    assert_eq!(
        (looked.items, looked.bytes),
        (2, old.nar_size + top.nar_size)
    );
    let none = store.collect_garbage(0, &[], true).await.unwrap();
    assert_eq!((none.items, none.bytes), (0, 0));

    let freed = store.collect_garbage(1, &keep[..1], true).await.unwrap();
    assert_eq!((freed.items, freed.bytes), (1, top.nar_size));
    assert!(store.info(&top.path).is_none() && store.info(&low.path).is_some());
    let freed = store.collect_garbage(all, &keep, true).await.unwrap();
    assert_eq!((freed.items, freed.bytes), (1, size));
    drop(hold);
    let freed = store.collect_garbage(all, &[], true).await.unwrap();
    assert_eq!(freed.items, 3);
    assert_eq!(entries(&directory.path().join("store")), [""; 0]);
    assert!(store.free_bytes().await.unwrap() > 0);
}
