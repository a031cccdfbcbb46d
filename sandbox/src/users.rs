//! The users that builds run as.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use grange_derivation::Dialect;

use crate::machine;
use crate::plan::{Identity, Ids};

/// The users that are free. If we are not root there is but one, ourselves, for all builds.
#[derive(Debug)]
pub(crate) struct Users {
    pool: Option<Pool>,
    in_use: Mutex<BTreeSet<u32>>,
}

#[derive(Debug)]
struct Pool {
    first: u32,
    count: u32,
}

/// A user that is a build's while this lives.
#[derive(Debug)]
pub(crate) struct User {
    users: Arc<Users>,
    taken: Option<u32>,
    ids: Ids,
}

impl Users {
    pub(crate) fn new(first: u32, count: u32) -> Self {
        let pool = machine::is_root().then_some(Pool { first, count });
        Self {
            pool,
            in_use: Mutex::default(),
        }
    }

    /// A user that no other build of this process runs as; none if all are taken.
    pub(crate) fn take(self: &Arc<Self>) -> Option<User> {
        let Some(pool) = &self.pool else {
            let uid = rustix::process::geteuid().as_raw();
            let ids = Ids {
                uid,
                gid: rustix::process::getegid().as_raw(),
            };
            return Some(User {
                users: Arc::clone(self),
                taken: None,
                ids,
            });
        };
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let id =
            (pool.first..pool.first.saturating_add(pool.count)).find(|id| !in_use.contains(id))?;
        in_use.insert(id);
        Some(User {
            users: Arc::clone(self),
            taken: Some(id),
            ids: Ids { uid: id, gid: id },
        })
    }
}

impl User {
    /// Who it is on this machine.
    pub(crate) const fn outside(&self) -> Ids {
        self.ids
    }

    /// Whether it is another user than ourselves.
    pub(crate) const fn is_other(&self) -> bool {
        self.taken.is_some()
    }

    /// Who it is, and whom the build takes itself for: the first build user of the dialect's daemon. Guix gives it its
    /// group once more, as a supplementary group; Nix gives it none.
    pub(crate) fn identity(&self, dialect: Dialect) -> Identity {
        let (inside, in_own_group) = match dialect {
            Dialect::Guix => (
                Ids {
                    uid: 30001,
                    gid: 30001,
                },
                true,
            ),
            Dialect::Nix => (
                Ids {
                    uid: 31001,
                    gid: 31000,
                },
                false,
            ),
        };
        Identity {
            inside,
            outside: self.ids,
            privileged: self.is_other(),
            in_own_group,
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(id) = self.taken {
            self.users
                .in_use
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
        }
    }
}
