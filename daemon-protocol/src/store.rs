//! The daemon's store.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use grange_derivation::{StoreDir, StorePath};
use grange_interfaces::{Body, Freed, ItemInfo, LocalStore, LocalStoreError};

use crate::config::{DaemonConfig, FarmKey};
use crate::connection::Connection;
use crate::dialect::{Speech, speech};
use crate::error::DaemonError;
use crate::pool::Pool;
use crate::roots::Roots;
use crate::wire::{Cursor, Opcode, Request, Version};

/// Kinds of garbage collection.
const SAY_DEAD: u64 = 1;
const DELETE_DEAD: u64 = 2;
pub(crate) const DELETE_GIVEN: u64 = 3;

/// What a daemon says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DaemonInfo {
    /// The version of the protocol that is spoken with it.
    pub protocol: Version,
    /// Its own version; only nix-daemon says it.
    pub version: Option<String>,
    /// Whether it trusts this client; only nix-daemon says it, from 2.9 on.
    pub trusted: Option<bool>,
}

/// The store of a running guix-daemon or nix-daemon.
///
/// Whatever is imported or built by it is kept from garbage collection for a while: see [`DaemonConfig::linger`].
#[derive(Debug)]
pub struct DaemonStore {
    config: DaemonConfig,
    speech: &'static dyn Speech,
    pool: Arc<Pool>,
    roots: Roots,
    info: DaemonInfo,
}

impl DaemonStore {
    /// Connects, so that what cannot work is found out at once.
    ///
    /// # Errors
    ///
    /// [`DaemonError::Unreachable`] if nobody listens, [`DaemonError::Version`] if the daemon is too old or another one.
    pub async fn connect(config: DaemonConfig) -> Result<Arc<Self>, DaemonError> {
        let speech = speech(config.dialect);
        let pool = Pool::new(
            config.socket.clone(),
            speech,
            config.patience,
            config.idle_connections,
        );
        let connection = pool.lease().await?;
        let introduction = connection.introduction().clone();
        let info = DaemonInfo {
            protocol: connection.version(),
            version: introduction.daemon,
            trusted: introduction.trusted,
        };
        connection.done();
        let roots = Roots::new(Arc::clone(&pool), config.linger);
        Ok(Arc::new(Self {
            config,
            speech,
            pool,
            roots,
            info,
        }))
    }

    /// What the daemon said of itself.
    #[must_use]
    pub const fn info(&self) -> &DaemonInfo {
        &self.info
    }

    /// Whether a derivation, with all derivations and sources that it refers to, directly or not, has to be valid in the
    /// store before it can be built. A guix-daemon wants that; a nix-daemon is told inputs instead.
    #[must_use]
    pub fn wants_derivations(&self) -> bool {
        self.speech.wants_derivation()
    }

    pub(crate) const fn config(&self) -> &DaemonConfig {
        &self.config
    }

    pub(crate) const fn farm_key(&self) -> Option<&FarmKey> {
        self.config.farm_key.as_ref()
    }

    pub(crate) const fn speech(&self) -> &'static dyn Speech {
        self.speech
    }

    pub(crate) const fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub(crate) const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Which of these are valid.
    pub(crate) async fn valid_on(
        &self,
        connection: &mut Connection,
        paths: &[StorePath],
    ) -> Result<HashSet<StorePath>, DaemonError> {
        if paths.is_empty() {
            return Ok(HashSet::new());
        }
        let request = self.speech.valid_paths(paths);
        let store = &self.config.store_dir;
        let valid = connection
            .ask(&request, |cursor| cursor.paths(store))
            .await?;
        Ok(valid.into_iter().collect())
    }

    /// What is known of these.
    pub(crate) async fn query_on(
        &self,
        connection: &mut Connection,
        paths: &[StorePath],
    ) -> Result<Vec<Option<ItemInfo>>, DaemonError> {
        let valid = self.valid_on(connection, paths).await?;
        let store = &self.config.store_dir;
        let mut infos = Vec::with_capacity(paths.len());
        for path in paths {
            let mut info = None;
            if valid.contains(path) {
                let mut request = Request::new(Opcode::QueryPathInfo);
                request.path(path);
                let read = |cursor: &mut Cursor<'_>| self.speech.path_info(store, path, cursor);
                info = connection.ask(&request, read).await?;
            }
            infos.push(info);
        }
        Ok(infos)
    }

    /// What a collection of garbage would delete, until it has so many bytes. A daemon says only what
    /// may go; how large that is, it is asked for each.
    async fn dead(&self, connection: &mut Connection, bytes: u64) -> Result<Freed, DaemonError> {
        let (dead, _) = self.collect(connection, SAY_DEAD, &[], u64::MAX).await?;
        let paths: Vec<_> = dead
            .iter()
            .filter_map(|path| StorePath::parse_any(str::from_utf8(path).ok()?).ok())
            .collect();
        let mut freed = Freed::default();
        for paths in paths.chunks(100) {
            for info in self.query_on(connection, paths).await?.iter().flatten() {
                if freed.bytes >= bytes {
                    return Ok(freed);
                }
                freed.items += 1;
                freed.bytes += info.nar_size;
            }
        }
        Ok(freed)
    }

    pub(crate) async fn collect(
        &self,
        connection: &mut Connection,
        action: u64,
        paths: &[StorePath],
        bytes: u64,
    ) -> Result<(Vec<Vec<u8>>, u64), DaemonError> {
        let mut request = Request::new(Opcode::CollectGarbage);
        // Not against what is alive; then three numbers that once meant something.
        request.number(action).paths(paths).flag(false);
        request.number(bytes).number(0).number(0).number(0);
        connection
            .ask(&request, |cursor| {
                let deleted = cursor.list(|cursor| cursor.bytes().map(<[u8]>::to_vec))?;
                let freed = cursor.number()?;
                cursor.number()?;
                Ok((deleted, freed))
            })
            .await
    }
}

#[async_trait]
impl LocalStore for DaemonStore {
    fn store_dir(&self) -> &StoreDir {
        &self.config.store_dir
    }

    async fn query(&self, paths: &[StorePath]) -> Result<Vec<Option<ItemInfo>>, LocalStoreError> {
        let mut connection = self.pool.lease().await?;
        let infos = self.query_on(&mut connection, paths).await?;
        connection.done();
        Ok(infos)
    }

    async fn import(&self, info: &ItemInfo, nar: Body) -> Result<(), LocalStoreError> {
        let path = &info.path;
        if path.store() != &self.config.store_dir {
            let store = &self.config.store_dir;
            return Err(LocalStoreError::Io(format!("{path} is not in {store}")));
        }
        // Before it is looked for: what is found then stays.
        let hold = self.roots.hold(std::slice::from_ref(path)).await?;
        let mut connection = self.pool.lease().await?;
        let mut asked = vec![path.clone()];
        asked.extend(info.references.iter().filter(|it| *it != path).cloned());
        let valid = self.valid_on(&mut connection, &asked).await?;
        if !valid.contains(path) {
            if let Some(missing) = asked[1..].iter().find(|it| !valid.contains(*it)) {
                return Err(LocalStoreError::MissingReference {
                    path: path.clone(),
                    reference: missing.clone(),
                });
            }
            self.import_new(info, nar, &mut connection).await?;
        }
        connection.done();
        drop(hold);
        Ok(())
    }

    async fn export(&self, path: &StorePath) -> Result<Body, LocalStoreError> {
        self.export_nar(path).await
    }

    async fn delete(&self, path: &StorePath) -> Result<(), LocalStoreError> {
        self.delete_item(path).await
    }

    async fn free_bytes(&self) -> Result<u64, LocalStoreError> {
        let store = self.config.store_dir.as_str();
        let found = rustix::fs::statvfs(store).map_err(|error| {
            LocalStoreError::Io(format!("cannot find out what is free in {store}: {error}"))
        })?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// The daemon chooses what goes. What is only kept for the time to linger counts as not needed.
    async fn collect_garbage(
        &self,
        bytes: u64,
        keep: &[StorePath],
        delete: bool,
    ) -> Result<Freed, LocalStoreError> {
        let hold = self.roots.hold(keep).await?;
        if delete {
            self.roots.release_lingering().await?;
        }
        self.pool.close_idle();
        let mut connection = self.pool.lease().await?;
        let freed = if delete {
            let (paths, freed) = self
                .collect(&mut connection, DELETE_DEAD, &[], bytes)
                .await?;
            Freed {
                items: paths.len() as u64,
                bytes: freed,
            }
        } else {
            self.dead(&mut connection, bytes).await?
        };
        connection.done();
        drop(hold);
        Ok(freed)
    }
}
