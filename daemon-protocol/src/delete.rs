//! Making items invalid.

use std::collections::BTreeSet;
use std::time::Duration;

use grange_derivation::StorePath;
use grange_interfaces::LocalStoreError;

use crate::error::DaemonError;
use crate::store::{DELETE_GIVEN, DaemonStore};
use crate::wire::{Opcode, Request};

/// How often a deletion is tried. Connections that were closed a moment ago may still keep an item: the daemon's
/// processes take a moment to notice.
const TRIES: u32 = 20;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

impl DaemonStore {
    /// Deletes an item with what refers to it, if that may be deleted.
    pub(crate) async fn delete_item(&self, path: &StorePath) -> Result<(), LocalStoreError> {
        let in_use = |why: String| LocalStoreError::InUse {
            path: path.clone(),
            why,
        };
        let together = self.together(path).await?.map_err(in_use)?;
        if self.roots().release(&together).await?.is_err() {
            return Err(in_use("a build that runs here needs it".to_owned()));
        }
        self.pool().close_idle();
        let mut tries = 1;
        loop {
            match self.delete_given(&together).await {
                Err(DaemonError::Refused { message, .. }) if is_alive(&message) => {
                    if tries == TRIES {
                        return Err(in_use(message));
                    }
                }
                result => return Ok(result?),
            }
            tries += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What has to go if this goes: the item and all that refers to it. Unless the store is the farm's alone, none of that
    /// may come from elsewhere: other outputs of the same derivation go with it, since they are of no use without.
    async fn together(
        &self,
        path: &StorePath,
    ) -> Result<Result<Vec<StorePath>, String>, DaemonError> {
        let store = &self.config().store_dir;
        let mut connection = self.pool().lease().await?;
        let mut found = BTreeSet::from([path.clone()]);
        let mut next = vec![path.clone()];
        let mut deriver = None;
        if !self.config().exclusive {
            let infos = self.query_on(&mut connection, &next).await?;
            deriver = infos.into_iter().flatten().find_map(|info| info.deriver);
        }
        while let Some(item) = next.pop() {
            let mut request = Request::new(Opcode::QueryReferrers);
            request.path(&item);
            let read = connection.ask(&request, |cursor| cursor.paths(store));
            let mut new = read.await?;
            new.retain(|referrer| !found.contains(referrer));
            if !self.config().exclusive {
                let infos = self.query_on(&mut connection, &new).await?;
                let foreign = |info: &grange_interfaces::ItemInfo| {
                    deriver.is_none() || info.deriver != deriver
                };
                if let Some(other) = infos.iter().flatten().find(|info| foreign(info)) {
                    let why = format!("{} refers to it", other.path);
                    connection.done();
                    return Ok(Err(why));
                }
            }
            found.extend(new.iter().cloned());
            next.extend(new);
        }
        connection.done();
        Ok(Ok(found.into_iter().collect()))
    }

    /// Deletes those of the items that are valid.
    async fn delete_given(&self, paths: &[StorePath]) -> Result<(), DaemonError> {
        let mut connection = self.pool().lease().await?;
        let valid = self.valid_on(&mut connection, paths).await?;
        let valid: Vec<_> = valid.into_iter().collect();
        if !valid.is_empty() {
            self.collect(&mut connection, DELETE_GIVEN, &valid, u64::MAX)
                .await?;
        }
        connection.done();
        Ok(())
    }
}

/// What daemons say of what they do not delete.
fn is_alive(message: &str) -> bool {
    message.contains("still alive") || message.to_ascii_lowercase().contains("cannot delete path")
}
