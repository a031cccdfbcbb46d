//! The process outside of the namespaces.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};

use super::sys::{self, Clone};
use super::{child, mounts};
use crate::plan::{End, Identity, Obstacle, Plan, Report, decode_frame, read_frame, write_frame};

/// Every namespace that a build gets, but for the network's, with its name for people.
const NAMESPACES: [(i32, &str); 5] = [
    (libc::CLONE_NEWUSER, "user"),
    (libc::CLONE_NEWNS, "mount"),
    (libc::CLONE_NEWPID, "pid"),
    (libc::CLONE_NEWIPC, "ipc"),
    (libc::CLONE_NEWUTS, "uts"),
];
const NETWORK: (i32, &str) = (libc::CLONE_NEWNET, "net");

/// Reads the plan, has it done, reports.
pub(super) fn run() -> ExitCode {
    // If the builder is gone there is nobody to report to, and nothing runs any more.
    if talk().is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn talk() -> io::Result<()> {
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let plan: Plan = read_frame(&mut control)?;
    let end = match supervise(&plan, &mut control) {
        Ok(end) => end,
        Err(obstacle) => End::NotRun(obstacle),
    };
    let peak_memory = sys::peak_memory_of_children();
    write_frame(&mut control, &Report::Ended { end, peak_memory })
}

fn supervise(plan: &Plan, control: &mut UnixStream) -> Result<End, Obstacle> {
    let (mut obstacle, tell) = io::pipe().map_err(step("make a pipe"))?;
    let (wait, mut go) = io::pipe().map_err(step("make a pipe"))?;
    let pid = match sys::clone(flags(plan)) {
        Ok(Clone::Parent(pid)) => pid,
        Ok(Clone::Child) => {
            drop((obstacle, go));
            become_child(plan, wait, tell)
        }
        Err(error) => return Err(which_are_missing(plan, &error)),
    };
    drop((wait, tell));
    let outcome = map_ids(pid, &plan.identity)
        .map_err(step("map user and group"))
        .and_then(|()| go.write_all(&[1]).map_err(step("wake the child")))
        .and_then(|()| hear(&mut obstacle, control, pid));
    if let Err(error) = outcome {
        let _ = kill_process(pid, Signal::KILL);
        let _ = wait_for(pid);
        return Err(error);
    }
    if plan.process.is_some() {
        // The builder reads no further than it likes: that it is gone is seen below.
        let _ = write_frame(control, &Report::Started);
    }
    let exited = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| step("watch the child")(error.into()))?;
    if !wait_readable(exited.as_fd(), control).map_err(step("watch the child"))? {
        let _ = kill_process(pid, Signal::KILL);
    }
    wait_for(pid)
}

fn flags(plan: &Plan) -> i32 {
    let network = if plan.host_network { 0 } else { NETWORK.0 };
    NAMESPACES
        .iter()
        .fold(network, |flags, (flag, _)| flags | flag)
}

fn become_child(plan: &Plan, mut wait: PipeReader, mut tell: PipeWriter) -> ! {
    // Nothing is read if the parent could not map the user, and has gone.
    let obstacle = match wait.read_exact(&mut [0]) {
        Ok(()) => child::run(plan, &tell).err(),
        Err(error) => Some(step("wait for the parent")(error)),
    };
    if let Some(obstacle) = obstacle {
        let _ = write_frame(&mut tell, &obstacle);
    }
    sys::exit(1)
}

/// Waits until the child has executed its program, which closes its end of the pipe, or says why it has not.
fn hear(obstacle: &mut PipeReader, control: &UnixStream, pid: Pid) -> Result<(), Obstacle> {
    if !wait_readable(obstacle.as_fd(), control).map_err(step("wait for the child"))? {
        let _ = kill_process(pid, Signal::KILL);
        return Ok(());
    }
    let mut said = Vec::new();
    obstacle
        .read_to_end(&mut said)
        .map_err(step("hear of the child"))?;
    match said.get(4..) {
        None => Ok(()),
        Some(frame) => Err(decode_frame(frame).map_err(step("understand the child"))?),
    }
}

/// Waits for `fd`; false if the builder's end of the socket was closed before.
fn wait_readable(fd: std::os::fd::BorrowedFd<'_>, control: &UnixStream) -> io::Result<bool> {
    loop {
        let mut fds = [
            PollFd::new(&fd, PollFlags::IN),
            PollFd::new(control, PollFlags::RDHUP),
        ];
        match poll(&mut fds, None) {
            Ok(_) if !fds[1].revents().is_empty() => return Ok(false),
            Ok(_) if !fds[0].revents().is_empty() => return Ok(true),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// When this returns, no process of the child's pid namespace is left.
fn wait_for(pid: Pid) -> Result<End, Obstacle> {
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                if let Some(code) = status.exit_status() {
                    return Ok(End::Exited(code));
                }
                if let Some(signal) = status.terminating_signal() {
                    return Ok(End::Signaled(signal));
                }
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(step("wait for the child")(error.into())),
        }
    }
}

/// Says who the child is. Without privileges one line is allowed, of oneself, and only after giving up `setgroups`
/// (user_namespaces(7)). With them, the superuser is mapped too, so that the build sees who owns its inputs.
fn map_ids(pid: Pid, identity: &Identity) -> io::Result<()> {
    let write = |file: &str, text: String| {
        fs::write(format!("/proc/{}/{file}", pid.as_raw_nonzero()), text)
    };
    let (inside, outside) = (identity.inside, identity.outside);
    if identity.privileged {
        write(
            "uid_map",
            format!("0 0 1\n{} {} 1\n", inside.uid, outside.uid),
        )?;
        write(
            "gid_map",
            format!("0 0 1\n{} {} 1\n", inside.gid, outside.gid),
        )
    } else {
        write("setgroups", "deny".to_owned())?;
        write("uid_map", format!("{} {} 1\n", inside.uid, outside.uid))?;
        write("gid_map", format!("{} {} 1\n", inside.gid, outside.gid))
    }
}

/// Tries the namespaces one by one. All others are made within a user namespace, so without that one nothing is known
/// of them.
fn which_are_missing(plan: &Plan, error: &io::Error) -> Obstacle {
    let [user, others @ ..] = NAMESPACES;
    let missing = if can_clone(user.0) {
        let wanted = others
            .into_iter()
            .chain((!plan.host_network).then_some(NETWORK));
        wanted
            .filter(|(flag, _)| !can_clone(user.0 | flag))
            .map(|(_, name)| name.to_owned())
            .collect()
    } else {
        vec![user.1.to_owned()]
    };
    Obstacle::Namespaces {
        missing,
        errno: error.raw_os_error().unwrap_or(0),
    }
}

fn can_clone(flags: i32) -> bool {
    match sys::clone(flags) {
        Ok(Clone::Child) => sys::exit(0),
        Ok(Clone::Parent(pid)) => wait_for(pid).is_ok(),
        Err(_) => false,
    }
}

/// Names what failed.
pub(super) fn step(what: impl Into<String>) -> impl FnOnce(io::Error) -> Obstacle {
    let what = what.into();
    move |error| Obstacle::Step {
        what,
        errno: mounts::errno(&error),
    }
}
