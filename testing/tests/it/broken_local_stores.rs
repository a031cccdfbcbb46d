//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use grange_derivation::{StoreDir, StorePath};
use grange_interfaces::{Body, Freed, ItemInfo, LocalStore, LocalStoreError, bytes_of};
use grange_model::NarHash;
use grange_testing::MemoryLocalStore;
use grange_testing::conformance::LocalStoreBench;
use sha2::{Digest, Sha256};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Takes bytes of any hash.
    BelievesHashes,
    /// Takes any number of bytes.
    BelievesSizes,
    /// Takes what refers to what is not there, without saying so.
    IgnoresReferences,
    /// Wants an item to be there before it refers to itself.
    RefusesItself,
    /// Leaves an item valid whose import broke off.
    LeavesHalf,
    /// Goes on with an import that was given up, as if it had ended.
    FinishesForOthers,
    /// Reads the body of what is valid.
    ReadsAgain,
    /// Fails where somebody else imports the same.
    RefusesSecond,
    /// Answers in an order of its own.
    SortsPaths,
    /// Forgets what items refer to.
    LosesReferences,
    /// Exports other bytes.
    ExportsOthers,
    /// Exports links that lead elsewhere.
    ExportsOtherLinks,
    /// Exports all but the last piece.
    ExportsLess,
    /// Exports nothing for what is not there.
    ExportsNothing,
    /// Refuses to delete what is not there.
    DeletesOnce,
    /// Says that it has deleted an item.
    DeletesNothing,
    /// Deletes an item whatever refers to it.
    LeavesDangling,
    /// Has nothing when it is opened.
    Forgets,
    /// Collects what shall be kept.
    IgnoresKept,
    /// Collects what is kept where what refers to it is named alone.
    KeepsRootsOnly,
    /// Collects also when it is only asked.
    AlwaysDeletes,
    /// Collects everything.
    IgnoresBytes,
    /// Deletes what is being exported.
    CutsExports,
    /// Collects what is being exported.
    CollectsExports,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryLocalStore,
    defect: Defect,
    importing: tokio::sync::Mutex<()>,
}

struct Bench(std::sync::Mutex<MemoryLocalStore>, Defect);

impl Bench {
    fn new(defect: Defect) -> Self {
        let store = MemoryLocalStore::new(StoreDir::guix());
        Self(std::sync::Mutex::new(store), defect)
    }
}

impl LocalStoreBench for Bench {
    type Store = Broken;

    async fn open(&self) -> Option<Arc<Broken>> {
        let mut store = self.0.lock().unwrap();
        if self.1 == Defect::Forgets {
            *store = MemoryLocalStore::new(StoreDir::guix());
        }
        Some(Arc::new(Broken {
            inner: store.clone(),
            defect: self.1,
            importing: tokio::sync::Mutex::default(),
        }))
    }

    fn is_ours(&self) -> bool {
        true
    }
}

fn pieces(bytes: &[u8]) -> Body {
    let pieces: Vec<_> = bytes.chunks(999).map(|it| Ok(it.to_vec().into())).collect();
    stream::iter(pieces).boxed()
}

fn of(path: &StorePath, nar: &[u8], references: &[StorePath]) -> ItemInfo {
    ItemInfo {
        path: path.clone(),
        nar_hash: NarHash(Sha256::digest(nar).into()),
        nar_size: nar.len() as u64,
        references: references.to_vec(),
        deriver: None,
    }
}

impl Broken {
    /// Makes it valid with what it should have.
    async fn force(&self, info: &ItemInfo, nar: &[u8]) {
        let info = of(&info.path, nar, &info.references);
        self.inner.import(&info, pieces(nar)).await.unwrap();
    }

    async fn is_valid(&self, path: &StorePath) -> bool {
        let found = self.inner.query(std::slice::from_ref(path)).await.unwrap();
        found[0].is_some()
    }
}

#[async_trait]
impl LocalStore for Broken {
    fn store_dir(&self) -> &StoreDir {
        self.inner.store_dir()
    }

    async fn query(&self, paths: &[StorePath]) -> Result<Vec<Option<ItemInfo>>, LocalStoreError> {
        let mut paths = paths.to_vec();
        if self.defect == Defect::SortsPaths {
            paths.sort();
        }
        let mut found = self.inner.query(&paths).await?;
        if self.defect == Defect::LosesReferences {
            for info in found.iter_mut().flatten() {
                info.references.clear();
            }
        }
        Ok(found)
    }

    async fn import(&self, info: &ItemInfo, nar: Body) -> Result<(), LocalStoreError> {
        let valid = self.is_valid(&info.path).await;
        match self.defect {
            Defect::BelievesHashes | Defect::BelievesSizes if !valid => {
                let bytes = bytes_of(nar, usize::MAX).await;
                let bytes = bytes.map_err(LocalStoreError::Body)?;
                let right = of(&info.path, &bytes, &info.references);
                let believed = match self.defect {
                    Defect::BelievesHashes => right.nar_size == info.nar_size,
                    _ => right.nar_size != info.nar_size,
                };
                let checked = self.inner.import(info, pieces(&bytes)).await;
                if believed && matches!(checked, Err(LocalStoreError::Mismatch { .. })) {
                    return Ok(());
                }
                checked
            }
            Defect::IgnoresReferences => match self.inner.import(info, nar).await {
                Err(LocalStoreError::MissingReference { .. }) => Ok(()),
                done => done,
            },
            Defect::RefusesItself if info.references.contains(&info.path) => {
                Err(LocalStoreError::MissingReference {
                    path: info.path.clone(),
                    reference: info.path.clone(),
                })
            }
            Defect::LeavesHalf => {
                let done = self.inner.import(info, nar).await;
                if matches!(done, Err(LocalStoreError::Body(_))) {
                    let half = grange_derivation::nar::of_file(b"half");
                    self.force(info, &half).await;
                }
                done
            }
            Defect::FinishesForOthers => {
                let (inner, info) = (self.inner.clone(), info.clone());
                let mut nar = nar;
                let mut bytes = Vec::new();
                while (bytes.len() as u64) < info.nar_size {
                    match nar.next().await {
                        Some(piece) => {
                            bytes.extend_from_slice(&piece.map_err(LocalStoreError::Body)?);
                        }
                        None => break,
                    }
                }
                let done = inner.import(&info, pieces(&bytes)).await;
                // The end of the body comes when the item is valid already.
                match nar.next().await {
                    Some(_) => inner.import(&info, pieces(b"too much")).await,
                    None => done,
                }
            }
            Defect::ReadsAgain if valid => {
                let read = bytes_of(nar, usize::MAX).await;
                read.map(drop).map_err(LocalStoreError::Body)
            }
            Defect::RefusesSecond => {
                let Ok(_turn) = self.importing.try_lock() else {
                    return Err(LocalStoreError::Io("it is being imported".into()));
                };
                tokio::task::yield_now().await;
                self.inner.import(info, nar).await
            }
            _ => self.inner.import(info, nar).await,
        }
    }

    async fn export(&self, path: &StorePath) -> Result<Body, LocalStoreError> {
        let valid = self.is_valid(path).await;
        match self.defect {
            Defect::ExportsNothing if !valid => Ok(grange_interfaces::empty_body()),
            Defect::ExportsOthers => {
                let nar = self.inner.export(path).await?;
                let other = |piece: std::io::Result<bytes::Bytes>| {
                    piece.map(|piece| piece.iter().map(|byte| byte ^ 1).collect())
                };
                Ok(nar.map(other).boxed())
            }
            Defect::ExportsOtherLinks => {
                let nar = self.inner.export(path).await?;
                let nar = bytes_of(nar, usize::MAX).await;
                let mut nar = nar.map_err(LocalStoreError::Body)?.to_vec();
                let target = b"../no where";
                let at = nar.windows(target.len()).position(|it| it == target);
                if let Some(at) = at {
                    nar[at..at + 2].copy_from_slice(b"__");
                }
                // It is in use as long as it is read.
                let held = self.inner.export(path).await?.take(0);
                Ok(pieces(&nar).chain(held).boxed())
            }
            Defect::ExportsLess => {
                let pieces: Vec<_> = self.inner.export(path).await?.collect().await;
                let most = pieces.len() - 1;
                Ok(stream::iter(pieces).take(most).boxed())
            }
            Defect::CutsExports | Defect::CollectsExports => {
                // Nobody is told that it is in use.
                let pieces: Vec<_> = self.inner.export(path).await?.collect().await;
                let (inner, path) = (self.inner.clone(), path.clone());
                let still = move |piece| {
                    let (inner, path) = (inner.clone(), path.clone());
                    async move {
                        let found = inner.query(&[path]).await.unwrap();
                        found[0].is_some().then_some(piece)
                    }
                };
                match self.defect {
                    Defect::CutsExports => Ok(stream::iter(pieces).filter_map(still).boxed()),
                    _ => Ok(stream::iter(pieces).boxed()),
                }
            }
            _ => self.inner.export(path).await,
        }
    }

    async fn delete(&self, path: &StorePath) -> Result<(), LocalStoreError> {
        match self.defect {
            Defect::DeletesOnce if !self.is_valid(path).await => {
                Err(LocalStoreError::NotValid(path.clone()))
            }
            Defect::DeletesNothing => Ok(()),
            Defect::LeavesDangling => {
                // What refers to it comes again, as if it had never gone.
                let mut left = Vec::new();
                for other in self.inner.paths() {
                    let found = self.inner.query(std::slice::from_ref(&other)).await?;
                    let nar = self.inner.export(&other).await?;
                    let nar = bytes_of(nar, usize::MAX).await.unwrap();
                    left.extend(found.into_iter().flatten().map(|info| (info, nar.clone())));
                }
                self.inner.delete(path).await?;
                for (info, nar) in left {
                    if info.path != *path && !self.is_valid(&info.path).await {
                        let alone = of(&info.path, &nar, &[]);
                        self.inner.import(&alone, pieces(&nar)).await?;
                    }
                }
                Ok(())
            }
            _ => self.inner.delete(path).await,
        }
    }

    async fn free_bytes(&self) -> Result<u64, LocalStoreError> {
        self.inner.free_bytes().await
    }

    async fn collect_garbage(
        &self,
        bytes: u64,
        keep: &[StorePath],
        delete: bool,
    ) -> Result<Freed, LocalStoreError> {
        let keep = match self.defect {
            Defect::IgnoresKept => &[],
            _ => keep,
        };
        let delete = delete || self.defect == Defect::AlwaysDeletes;
        let bytes = match self.defect {
            Defect::IgnoresBytes => u64::MAX,
            _ => bytes,
        };
        let freed = self.inner.collect_garbage(bytes, keep, delete).await?;
        if self.defect == Defect::KeepsRootsOnly && delete {
            let mut kept = Vec::new();
            for path in keep {
                let found = self.inner.query(std::slice::from_ref(path)).await?;
                if let Some(info) = found.into_iter().flatten().next() {
                    let nar = self.inner.export(path).await?;
                    kept.push((info, bytes_of(nar, usize::MAX).await.unwrap()));
                }
            }
            self.inner.collect_garbage(u64::MAX, &[], true).await?;
            for (info, nar) in kept {
                let alone = of(&info.path, &nar, &[]);
                self.inner.import(&alone, pieces(&nar)).await?;
            }
        }
        Ok(freed)
    }
}

crate::found! {
    local_store, |defect| Bench::new(defect);
    none: None => [];
    a_believed_hash: BelievesHashes => [import_refuses_another_hash];
    a_believed_size: BelievesSizes => [import_refuses_another_size];
    an_ignored_reference: IgnoresReferences => [import_demands_references];
    a_refused_self_reference: RefusesItself => [an_item_may_refer_to_itself];
    half_an_import: LeavesHalf => [an_import_that_breaks_off_leaves_nothing];
    an_import_that_goes_on: FinishesForOthers => [
        an_import_that_is_given_up_leaves_nothing,
        what_is_valid_is_not_read_again,
    ];
    a_body_that_is_read_again: ReadsAgain => [what_is_valid_is_not_read_again];
    a_refused_second_import: RefusesSecond => [the_same_import_at_once_is_one];
    another_order: SortsPaths => [query_keeps_the_order];
    a_lost_field: LosesReferences => [
        an_import_is_what_is_exported,
        an_item_may_refer_to_itself,
        items_outlive_their_process,
    ];
    another_link: ExportsOtherLinks => [an_import_is_what_is_exported];
    other_bytes: ExportsOthers => [
        an_import_is_what_is_exported,
        what_is_valid_is_not_read_again,
        the_same_import_at_once_is_one,
        items_outlive_their_process,
        import_refuses_another_hash,
        import_refuses_another_size,
        import_demands_references,
        an_import_that_breaks_off_leaves_nothing,
        an_import_that_is_given_up_leaves_nothing,
        an_export_is_whole_or_an_error,
        what_is_exported_is_no_garbage,
    ];
    fewer_bytes: ExportsLess => [
        an_import_is_what_is_exported,
        what_is_valid_is_not_read_again,
        the_same_import_at_once_is_one,
        items_outlive_their_process,
        import_refuses_another_hash,
        import_refuses_another_size,
        import_demands_references,
        an_import_that_breaks_off_leaves_nothing,
        an_import_that_is_given_up_leaves_nothing,
        an_export_is_whole_or_an_error,
        what_is_exported_is_no_garbage,
    ];
    an_export_of_nothing: ExportsNothing => [what_is_not_valid_is_not_exported];
    a_refused_second_deletion: DeletesOnce => [a_deleted_item_is_gone];
    what_is_deleted_and_stays: DeletesNothing => [
        a_deleted_item_is_gone,
        deleting_leaves_nothing_dangling,
    ];
    a_dangling_reference: LeavesDangling => [deleting_leaves_nothing_dangling];
    a_forgotten_store: Forgets => [items_outlive_their_process];
    ignored_roots: IgnoresKept => [garbage_goes_and_what_is_kept_stays];
    roots_without_their_closure: KeepsRootsOnly => [
        garbage_goes_and_what_is_kept_stays,
        garbage_stops_when_it_is_enough,
    ];
    a_look_that_deletes: AlwaysDeletes => [looking_for_garbage_deletes_nothing];
    too_much_garbage: IgnoresBytes => [garbage_stops_when_it_is_enough];
    an_export_that_is_collected: CollectsExports => [what_is_exported_is_no_garbage];
    a_cut_export: CutsExports => [
        an_export_is_whole_or_an_error,
        what_is_exported_is_no_garbage,
    ];
}
