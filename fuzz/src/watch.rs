//! Panics that nobody sees: those of tasks.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Does it, and panics if anything did meanwhile. A server ends a connection whose task panics, and goes on: from outside
/// that is a connection that was closed.
pub(crate) fn unharmed<T>(what: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    // One at a time: servers that all targets of a kind talk to say what the last one wants, and a panic is that of one input.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            before(info);
        }));
    });
    let before = PANICS.load(Ordering::SeqCst);
    let result = what();
    assert_eq!(PANICS.load(Ordering::SeqCst), before, "a task panicked");
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_panics_is_seen() {
        let outcome = panic::catch_unwind(|| {
            unharmed(|| {
                std::thread::spawn(|| panic!("as it is meant to"))
                    .join()
                    .is_err()
            })
        });
        assert!(outcome.is_err());
    }
}
