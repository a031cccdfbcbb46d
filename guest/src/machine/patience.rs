//! Waiting for devices. The kernel finds them while we are running already.

use std::thread;
use std::time::{Duration, Instant};

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks again and again, at most as long as `patience`.
pub(crate) fn wait_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        let found = look();
        if found.is_some() || begin.elapsed() >= patience {
            return found;
        }
        thread::sleep(PAUSE);
    }
}
