//! Programs that were started, and how they end.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::protocol::Exit;
use crate::sys;

/// All programs that were started and have not ended.
///
/// As the machine's first process, we have children that we do not know: whatever outlives its parent. One thread takes
/// all away, and only it does; so nobody else may wait for a child.
#[derive(Debug)]
pub(super) struct Children {
    table: Mutex<HashMap<u32, Arc<Fate>>>,
    some: Condvar,
}

/// Programs by the streams that started them, in the conversation of now.
#[derive(Debug, Default)]
pub(super) struct Programs {
    pids: Mutex<HashMap<u32, u32>>,
}

impl Programs {
    pub(super) fn get(&self, stream: u32) -> Option<u32> {
        lock(&self.pids).get(&stream).copied()
    }

    pub(super) fn insert(&self, stream: u32, pid: u32) {
        lock(&self.pids).insert(stream, pid);
    }

    /// Forgets a program, unless the stream's number means another one by now.
    pub(super) fn remove(&self, stream: u32, pid: u32) {
        let mut pids = lock(&self.pids);
        if pids.get(&stream) == Some(&pid) {
            pids.remove(&stream);
        }
    }

    pub(super) fn clear(&self) {
        lock(&self.pids).clear();
    }
}

/// A program that was started.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    /// Hung up when it has ended.
    pub(super) exited: PipeReader,
    fate: Arc<Fate>,
}

#[derive(Debug)]
struct Fate {
    state: Mutex<Outcome>,
}

#[derive(Debug)]
struct Outcome {
    exit: Option<Exit>,
    waker: Option<Waker>,
    /// Dropped at the end.
    running: Option<PipeWriter>,
}

impl Children {
    /// Nobody else in this process may have children from here on.
    pub(super) fn start() -> io::Result<Arc<Self>> {
        let children = Arc::new(Self {
            table: Mutex::new(HashMap::new()),
            some: Condvar::new(),
        });
        let theirs = Arc::clone(&children);
        thread::Builder::new()
            .name("reaper".into())
            .spawn(move || theirs.reap())?;
        Ok(children)
    }

    /// Starts a program, as the leader of a process group.
    pub(super) fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let (exited, running) = io::pipe()?;
        command.process_group(0);
        // Held until the child is known, so that it is not reaped before. If it cannot be executed, `spawn` itself
        // waits for it.
        let mut table = lock(&self.table);
        let mut child = command.spawn()?;
        let fate = Arc::new(Fate {
            state: Mutex::new(Outcome {
                exit: None,
                waker: None,
                running: Some(running),
            }),
        });
        table.insert(child.id(), Arc::clone(&fate));
        self.some.notify_all();
        Ok(Child {
            pid: child.id(),
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            exited,
            fate,
        })
    }

    /// Sends a signal to a program's process group, if it has not ended. Until then its number is not used again.
    pub(super) fn kill(&self, pid: u32, signal: Signal) -> io::Result<()> {
        let table = lock(&self.table);
        let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
        match group {
            Some(group) if table.contains_key(&pid) => Ok(kill_process_group(group, signal)?),
            _ => Err(rustix::io::Errno::SRCH.into()),
        }
    }

    /// Kills all.
    pub(super) fn kill_all(&self) {
        let pids: Vec<u32> = lock(&self.table).keys().copied().collect();
        for pid in pids {
            // It may have ended meanwhile.
            drop(self.kill(pid, Signal::KILL));
        }
    }

    fn reap(&self) {
        loop {
            match sys::next_child() {
                Ok(pid) => {
                    let mut table = lock(&self.table);
                    if let Ok(exit) = sys::reap(pid)
                        && let Some(fate) = table.remove(&pid)
                    {
                        fate.decide(exit);
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => self.wait_for_some(),
                // A signal.
                Err(_) => {}
            }
        }
    }

    /// Without children there is nobody to leave us orphans, either.
    fn wait_for_some(&self) {
        let table = lock(&self.table);
        let waited = self.some.wait_while(table, |table| table.is_empty());
        drop(waited);
    }
}

impl Child {
    /// How it ended.
    pub(super) fn poll_exit(&self, cx: &Context<'_>) -> Poll<Exit> {
        let mut outcome = lock(&self.fate.state);
        match outcome.exit {
            Some(exit) => Poll::Ready(exit),
            None => {
                outcome.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Fate {
    fn decide(&self, exit: Exit) {
        let mut outcome = lock(&self.state);
        outcome.exit = Some(exit);
        outcome.running = None;
        if let Some(waker) = outcome.waker.take() {
            waker.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
