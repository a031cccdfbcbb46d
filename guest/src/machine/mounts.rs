//! File systems of the kernel.

use std::ffi::CStr;
use std::fs;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

/// What is mounted where, with which options.
struct Mount {
    kind: &'static str,
    at: &'static str,
    flags: MountFlags,
    options: &'static CStr,
}

const SAFE: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);
const TEMPORARY: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// What we need ourselves.
const FIRST: &[Mount] = &[
    Mount::new("proc", "/proc", SAFE, c""),
    Mount::new("sysfs", "/sys", SAFE, c""),
    Mount::new("devtmpfs", "/dev", MountFlags::NOSUID, c"mode=0755"),
];

const TMP: Mount = Mount::new("tmpfs", "/tmp", TEMPORARY, c"mode=1777");

/// What programs expect.
const REST: &[Mount] = &[
    Mount::new(
        "devpts",
        "/dev/pts",
        MountFlags::NOSUID.union(MountFlags::NOEXEC),
        c"mode=0620,gid=5,ptmxmode=0666",
    ),
    Mount::new("tmpfs", "/dev/shm", TEMPORARY, c"mode=1777"),
    Mount::new("tmpfs", "/run", TEMPORARY, c"mode=0755"),
    TMP,
    Mount::new("cgroup2", "/sys/fs/cgroup", SAFE, c""),
];

/// Links that programs expect in `/dev`.
const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

impl Mount {
    const fn new(
        kind: &'static str,
        at: &'static str,
        flags: MountFlags,
        options: &'static CStr,
    ) -> Self {
        Self {
            kind,
            at,
            flags,
            options,
        }
    }

    fn mount(&self) -> Result<(), String> {
        let mounted = make(Path::new(self.at)).and_then(|()| {
            Ok(mount(
                self.kind,
                self.at,
                self.kind,
                self.flags,
                self.options,
            )?)
        });
        match mounted {
            Ok(()) => Ok(()),
            // The kernel has mounted /dev itself.
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => Ok(()),
            Err(error) => Err(format!(
                "cannot mount {} at {}: {error}",
                self.kind, self.at
            )),
        }
    }
}

/// Mounts what we need ourselves.
pub(super) fn first() -> Result<(), String> {
    FIRST.iter().try_for_each(Mount::mount)
}

/// Mounts what programs expect. What the kernel cannot do is told of, and done without. With a disk, `/tmp` is no memory, either.
pub(super) fn rest(has_disk: bool) {
    for one in REST.iter().filter(|one| !has_disk || one.at != TMP.at) {
        if let Err(error) = one.mount() {
            eprintln!("grange-guest: {error}");
        }
    }
    for (to, at) in LINKS {
        // It may be there already.
        drop(std::os::unix::fs::symlink(to, at));
    }
}

/// Whether the kernel knows that kind of file system, as far as it says.
pub(super) fn is_known(kind: &str) -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let names = known.lines().filter_map(|line| line.split('\t').nth(1));
    names.into_iter().any(|name| name == kind)
}

/// Makes a directory, if it is not there.
pub(super) fn make(path: &Path) -> std::io::Result<()> {
    fs::create_dir_all(path)
}
