//! Failing when told to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use grange_interfaces::StoreError;
use tokio::sync::Notify;

/// What shall go wrong with commits. Shared by all handles.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plan: Mutex<Plan>,
    released: Notify,
}

#[derive(Debug, Default)]
struct Plan {
    before: u32,
    after: u32,
    held: bool,
}

impl Faults {
    pub(crate) fn before(&self, commits: u32) {
        self.plan().before = commits;
    }

    pub(crate) fn after(&self, commits: u32) {
        self.plan().after = commits;
    }

    pub(crate) fn hold(&self) {
        self.plan().held = true;
    }

    pub(crate) fn release(&self) {
        self.plan().held = false;
        self.released.notify_waiters();
    }

    /// Waits while commits are held.
    pub(crate) async fn pass(&self) {
        loop {
            // Made before the look, so that a release between the two is noticed.
            let released = self.released.notified();
            if !self.plan().held {
                return;
            }
            released.await;
        }
    }

    /// Whether this commit fails before anything is written.
    pub(crate) fn fail_before(&self) -> Result<(), StoreError> {
        take(
            &mut self.plan().before,
            "an injected fault: nothing was written",
        )
    }

    /// Whether this commit fails although everything is written.
    pub(crate) fn fail_after(&self) -> Result<(), StoreError> {
        take(
            &mut self.plan().after,
            "an injected fault: everything was written",
        )
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(left: &mut u32, message: &str) -> Result<(), StoreError> {
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    Err(StoreError::Unavailable(message.into()))
}
