//! System calls that have no safe wrapper. The only module of this crate with `unsafe` in it.
#![expect(unsafe_code, reason = "system calls without a safe wrapper")]

use std::ffi::CStr;
use std::io;
use std::os::fd::RawFd;

use rustix::process::Pid;

/// Where [`clone`] returned.
pub(super) enum Clone {
    Parent(Pid),
    Child,
}

/// Forks into new namespaces: `flags` are `CLONE_NEW…`.
pub(super) fn clone(flags: i32) -> io::Result<Clone> {
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    // SAFETY: without a stack of its own the child gets a copy of ours, as after `fork`. This process has one thread
    // (`init_main` is called before any other is started), so the child may do what it likes.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(result) {
        Ok(0) => Ok(Clone::Child),
        Ok(pid @ 1..) => Pid::from_raw(pid)
            .map(Clone::Parent)
            .ok_or_else(|| io::ErrorKind::Other.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The most bytes of memory that any one process had that this one, or who did so in turn, has waited for.
pub(super) fn peak_memory_of_children() -> u64 {
    // SAFETY: all bytes of the struct may be zero, and the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    // In kibibytes: getrusage(2).
    u64::try_from(usage.ru_maxrss)
        .unwrap_or(0)
        .saturating_mul(1_024)
}

/// Ends this process without running anything.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: `_exit` is always allowed.
    unsafe { libc::_exit(status) }
}

/// Sets and clears attributes (`MOUNT_ATTR_…`) of the mount at `path`, and of those below it if `recursive`.
pub(super) fn mount_setattr(path: &CStr, recursive: bool, set: u64, clear: u64) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: clear,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: path and attributes live through the call, and the size is that of the attributes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Switches the loopback device on.
pub(super) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes_with_nul()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: the request has a name and flags, which is what this call reads.
    let result = unsafe {
        libc::ioctl(
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            libc::SIOCSIFFLAGS,
            &raw const request,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes every file descriptor from `first` on close when a program is executed.
pub(super) fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    // SAFETY: closes nothing now; later only what `exec` closes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Gives every signal its default meaning, and blocks none.
pub(super) fn reset_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the default action needs no function. KILL and STOP cannot be set, which is as well.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: all zeros is a valid set, and then an empty one.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Sets the personality (`PER_…`, `ADDR_…`).
pub(super) fn personality(persona: u64) -> io::Result<()> {
    // SAFETY: concerns later programs only, and the layout of their memory.
    let result = unsafe { libc::personality(persona) };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Has every later system call of this process and its children pass `filter`. Needs `no_new_privs`.
pub(super) fn set_filter(filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(filter.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog {
        len: length,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program names as many instructions as there are; the kernel copies and checks them.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
            0,
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Executes a program. Returns only if that fails.
pub(super) fn execute(program: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> io::Error {
    let pointers = |texts: &[&CStr]| -> Vec<*const libc::c_char> {
        texts
            .iter()
            .map(|text| text.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both lists end in a null pointer, and all texts live through the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}
