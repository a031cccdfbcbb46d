//! The daemon's store.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use grange_derivation::{StoreDir, StorePath};
use grange_interfaces::{Body, ItemInfo, LocalStore, LocalStoreError};

use crate::config::{DaemonConfig, FarmKey};
use crate::connection::Connection;
use crate::dialect::{Speech, speech};
use crate::error::DaemonError;
use crate::pool::Pool;
use crate::roots::Roots;
use crate::wire::{Cursor, Opcode, Request, Version};

/// Kinds of garbage collection.
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

    /// Deletes what nobody needs until so many bytes have been freed, and says how many were. What is only kept for the
    /// time to linger counts as not needed.
    ///
    /// # Errors
    ///
    /// If the daemon does not do it.
    pub async fn collect_garbage(&self, bytes: u64) -> Result<u64, DaemonError> {
        self.pool.close_idle();
        self.roots.release_lingering().await?;
        let mut connection = self.pool.lease().await?;
        let (_, freed) = self
            .collect(&mut connection, DELETE_DEAD, &[], bytes)
            .await?;
        connection.done();
        Ok(freed)
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

    pub(crate) async fn collect(
        &self,
        connection: &mut Connection,
        action: u64,
        paths: &[StorePath],
        bytes: u64,
    ) -> Result<(usize, u64), DaemonError> {
        let mut request = Request::new(Opcode::CollectGarbage);
        // Not against what is alive; then three numbers that once meant something.
        request.number(action).paths(paths).flag(false);
        request.number(bytes).number(0).number(0).number(0);
        connection
            .ask(&request, |cursor| {
                let deleted = cursor.list(|cursor| cursor.bytes().map(drop))?.len();
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
}
