//! The process that becomes the build.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::{self, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource as Rlimit, Rlimit as RlimitValue, Signal, setrlimit};
use rustix::thread::{Gid, Uid};

use super::parent::step;
use super::{mounts, seccomp, sys};
use crate::plan::{Identity, Obstacle, Plan, Process, Raw, Resource, ResourceLimit, Root};

/// Of linux/personality.h.
const PER_LINUX: u64 = 0;
const PER_LINUX32: u64 = 8;
const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;

/// Does what the plan says and executes the program. Returns on success only if the plan has none.
pub(super) fn run(plan: &Plan, tell: &PipeWriter) -> Result<(), Obstacle> {
    // The build's, and that of what is made for it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::setsid().map_err(|error| step("start a session")(error.into()))?;
    rustix::system::sethostname(b"localhost")
        .map_err(|error| step("set the host name")(error.into()))?;
    rustix::system::setdomainname(b"(none)")
        .map_err(|error| step("set the domain name")(error.into()))?;
    if !plan.host_network {
        sys::loopback_up().map_err(step("switch the loopback device on"))?;
    }
    match &plan.root {
        Root::Private(root) => mounts::private_root(root)?,
        Root::Machine { writable } => mounts::machine_root(writable)?,
    }
    let Some(process) = &plan.process else {
        return Ok(());
    };
    prepare(process)?;
    give_up_privileges(&plan.identity)?;
    die_with_parent(tell)?;
    let filter = seccomp::filter(process.refuse_privileged_modes);
    execute(process, filter)
}

/// What needs privileges, or must not be changed by the build.
fn prepare(process: &Process) -> Result<(), Obstacle> {
    let null = fs::File::open("/dev/null").map_err(step("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&null)
        .map_err(|error| step("replace standard input")(error.into()))?;
    drop(null);
    sys::close_on_exec_from(3).map_err(step("close other files"))?;
    sys::reset_signals();
    // Layouts of memory that differ from run to run make outputs differ: both daemons turn that off.
    let persona = if process.linux32 {
        PER_LINUX32
    } else {
        PER_LINUX
    } | ADDR_NO_RANDOMIZE;
    sys::personality(persona).map_err(step("set the personality"))?;
    for limit in &process.limits {
        set_limit(*limit)?;
    }
    // Out of memory, the build shall go, not its agent. Where that cannot be said, it is not said.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

fn set_limit(limit: ResourceLimit) -> Result<(), Obstacle> {
    let resource = match limit.resource {
        Resource::CoreBytes => Rlimit::Core,
        Resource::AddressSpaceBytes => Rlimit::As,
        Resource::Processes => Rlimit::Nproc,
        Resource::OpenFiles => Rlimit::Nofile,
        Resource::FileBytes => Rlimit::Fsize,
    };
    // What the agent itself may not, the build may not either.
    let most = rustix::process::getrlimit(resource).maximum;
    let within = |value: Option<u64>| match (value, most) {
        (Some(value), Some(most)) => Some(value.min(most)),
        (value, most) => value.or(most),
    };
    let value = RlimitValue {
        current: within(limit.soft),
        maximum: within(limit.hard),
    };
    setrlimit(resource, value).map_err(|error| step(format!("limit {resource:?}"))(error.into()))
}

/// Becomes the build's user. All capabilities go with that, or with `exec` where the user was that one all along.
fn give_up_privileges(identity: &Identity) -> Result<(), Obstacle> {
    let change = || -> rustix::io::Result<()> {
        if identity.privileged {
            let (uid, gid) = (
                Uid::from_raw(identity.inside.uid),
                Gid::from_raw(identity.inside.gid),
            );
            let groups = if identity.in_own_group {
                &[gid][..]
            } else {
                &[]
            };
            rustix::thread::set_thread_groups(groups)?;
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        }
        rustix::thread::set_no_new_privs(true)
    };
    change().map_err(|error| step("become the build user")(error.into()))
}

/// Has the kernel kill this process when the parent dies. Process 1 gets such a signal from outside of its namespace
/// whatever it does about signals.
fn die_with_parent(tell: &PipeWriter) -> Result<(), Obstacle> {
    let failed = |error: rustix::io::Errno| step("watch the parent")(error.into());
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    // It may have died before that: then nobody reads the pipe.
    let mut fds = [PollFd::from_borrowed_fd(tell.as_fd(), PollFlags::empty())];
    let now = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&now)).map_err(failed)?;
    if fds[0].revents().contains(PollFlags::ERR) {
        sys::exit(1);
    }
    Ok(())
}

fn execute(process: &Process, mut filter: Vec<libc::sock_filter>) -> Result<(), Obstacle> {
    let program = c_text(&process.program)?;
    let arguments = c_texts(&process.arguments)?;
    let environment = c_texts(&process.environment)?;
    let directory = Path::new(std::ffi::OsStr::from_bytes(&process.directory));
    std::env::set_current_dir(directory).map_err(step(format!("enter {}", directory.display())))?;
    check_place(process).map_err(|what| Obstacle::Program { what })?;
    sys::set_filter(&mut filter).map_err(step("filter system calls"))?;
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    let environment: Vec<&CStr> = environment.iter().map(CString::as_c_str).collect();
    let error = sys::execute(&program, &arguments, &environment);
    Err(Obstacle::Program {
        what: error.to_string(),
    })
}

/// The program must lie where it was declared to. Else `/proc/self/exe`, which is the agent's own program at this
/// point, would do too, and the build could try to write to it (CVE-2019-5736).
fn check_place(process: &Process) -> Result<(), String> {
    if process.allowed.is_empty() {
        return Ok(());
    }
    let place = fs::canonicalize(std::ffi::OsStr::from_bytes(&process.program))
        .map_err(|error| error.to_string())?;
    let inside = |allowed: &Raw| place.starts_with(std::ffi::OsStr::from_bytes(allowed));
    if process.allowed.iter().any(inside) {
        Ok(())
    } else {
        Err(format!(
            "{} is neither in the store nor in a declared path",
            place.display()
        ))
    }
}

fn c_texts(texts: &[Raw]) -> Result<Vec<CString>, Obstacle> {
    texts.iter().map(|text| c_text(text)).collect()
}

fn c_text(text: &[u8]) -> Result<CString, Obstacle> {
    CString::new(text)
        .map_err(|error| step("pass a text with a NUL in it")(io::Error::other(error)))
}
