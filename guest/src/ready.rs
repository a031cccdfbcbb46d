//! Whether a machine has all that programs in it may want.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Whether a machine has all that programs in it may want: drivers, a network. Clones of this are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ready(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_ready: Mutex<bool>,
    changed: Condvar,
}

impl Ready {
    /// Already.
    pub(crate) fn already() -> Self {
        let ready = Self::default();
        ready.set();
        ready
    }

    /// From now on.
    pub(crate) fn set(&self) {
        *self.lock() = true;
        self.0.changed.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.lock()
    }

    /// Waits until it is.
    pub(crate) fn wait(&self) {
        let waited = self.0.changed.wait_while(self.lock(), |ready| !*ready);
        drop(waited);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, bool> {
        let locked = self.0.is_ready.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_goes_on_when_it_is_set() {
        let ready = Ready::default();
        let other = ready.clone();
        let waiting = std::thread::spawn(move || other.wait());
        assert!(!ready.is_set());
        ready.set();
        waiting.join().unwrap();
        assert!(ready.is_set());
        Ready::already().wait();
    }
}
