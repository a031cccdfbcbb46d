//! What a test build does at a point.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::process::{Signal, getpid, kill_process};

use crate::Point;

/// The file that says where to die.
static CONTROL: OnceLock<PathBuf> = OnceLock::new();

/// What the file said last, and how often that point was reached since.
static REACHED: Mutex<(String, u32)> = Mutex::new((String::new(), 0));

/// From now on the process dies where this file says: it holds `NAME TIMES`, a point and at which time of being there.
/// The file is deleted first, which tells that it was this, and lets the next process live. Only the first call counts.
pub fn control(file: PathBuf) {
    let _ = CONTROL.set(file);
}

/// The process is at this point, and dies there if it is told to.
pub fn reach(point: Point) {
    let Some(file) = CONTROL.get() else { return };
    let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(text) = fs::read_to_string(file) else {
        return;
    };
    let Some((name, times)) = text.trim().split_once(' ') else {
        return;
    };
    if name != point.name() {
        return;
    }
    if reached.0 != text {
        *reached = (text.clone(), 0);
    }
    reached.1 += 1;
    if times.parse() != Ok(reached.1) {
        return;
    }
    // Whoever cannot delete it was let off meanwhile.
    if fs::remove_file(file).is_err() {
        return;
    }
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}
