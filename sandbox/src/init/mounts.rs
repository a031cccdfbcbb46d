//! What the build sees as `/`.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_bind_recursive, mount_change, move_mount, open_tree, unmount,
};

use super::parent::step;
use super::sys;
use crate::plan::{Bind, Node, Obstacle, PrivateRoot};

/// Memory that the root itself may take: mount points and a few files of `/etc`.
const ROOT_OPTIONS: &std::ffi::CStr = c"mode=0755,size=64m";

/// Fills a root of its own and makes it `/`.
///
/// Everything is made read-only in one call, then what is writable is made so again: one call for each of the many
/// inputs is saved. What has to be neither (`/proc`, devices) comes last.
pub(super) fn private_root(root: &PrivateRoot) -> Result<(), Obstacle> {
    let at = Path::new(OsStr::from_bytes(&root.at));
    keep_to_ourselves()?;
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    mount("none", at, "tmpfs", safe, ROOT_OPTIONS).map_err(named("mount the root at", at))?;
    let inside = |path: &[u8]| at.join(OsStr::from_bytes(path));
    for path in root.directories.iter().map(|path| inside(path)) {
        make_directory(&path)?;
    }
    for (path, contents) in &root.files {
        let path = inside(path);
        fs::write(&path, contents).map_err(named_io("write", &path))?;
    }
    for device in &root.devices {
        make_file(&inside(b"dev").join(OsStr::from_bytes(device)))?;
    }
    for bind in &root.binds {
        show(bind, &inside(&bind.target))?;
    }
    // After the mounts: some of them lie in what was mounted.
    for (path, target) in &root.links {
        let path = inside(path);
        make_around(&path)?;
        symlink(OsStr::from_bytes(target), &path).map_err(named_io("link", &path))?;
    }
    set_attributes(
        at,
        true,
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        0,
    )?;
    for bind in root.binds.iter().filter(|bind| bind.writable) {
        set_attributes(&inside(&bind.target), false, 0, libc::MOUNT_ATTR_RDONLY)?;
    }
    kernel_file_systems(at)?;
    for device in &root.devices {
        let source = Path::new("/dev").join(OsStr::from_bytes(device));
        let target = inside(b"dev").join(OsStr::from_bytes(device));
        mount_bind_recursive(&source, &target).map_err(named("show", &source))?;
    }
    enter(at)
}

/// Makes the machine's `/` read-only for this process and its children, with a `/tmp` of their own.
pub(super) fn machine_root(writable: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Obstacle> {
    keep_to_ourselves()?;
    let mut trees = Vec::new();
    for (source, target) in writable {
        // Taken before `/tmp` is hidden: they may lie there.
        let source = Path::new(OsStr::from_bytes(source));
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(rustix::fs::CWD, source, flags).map_err(named("take", source))?;
        trees.push((tree, Path::new(OsStr::from_bytes(target))));
    }
    let temporary = Path::new("/tmp");
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    mount("none", temporary, "tmpfs", safe, ROOT_OPTIONS).map_err(named("mount", temporary))?;
    for (tree, target) in &trees {
        make_directory(target)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(tree, "", rustix::fs::CWD, *target, flags).map_err(named("show", target))?;
    }
    set_attributes(
        Path::new("/"),
        true,
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
        0,
    )?;
    for (_, target) in &trees {
        set_attributes(target, false, 0, libc::MOUNT_ATTR_RDONLY)?;
    }
    mount_proc(Path::new("/proc"))
}

/// From here on, nothing that is mounted here is seen outside.
fn keep_to_ourselves() -> Result<(), Obstacle> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags).map_err(|error| step("make mounts private")(error.into()))
}

fn show(bind: &Bind, target: &Path) -> Result<(), Obstacle> {
    match bind.node {
        Node::Directory => make_directory(target)?,
        Node::File => {
            make_around(target)?;
            make_file(target)?;
        }
    }
    let source = Path::new(OsStr::from_bytes(&bind.source));
    mount_bind_recursive(source, target).map_err(named("show", source))
}

fn kernel_file_systems(at: &Path) -> Result<(), Obstacle> {
    mount_proc(&at.join("proc"))?;
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    let memory = at.join("dev/shm");
    mount("none", &memory, "tmpfs", safe, c"mode=1777,size=50%")
        .map_err(named("mount", &memory))?;
    let terminals = at.join("dev/pts");
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount(
        "none",
        &terminals,
        "devpts",
        flags,
        c"newinstance,mode=0620,ptmxmode=0666",
    )
    .map_err(named("mount", &terminals))
}

fn mount_proc(at: &Path) -> Result<(), Obstacle> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("none", at, "proc", flags, None).map_err(named("mount", at))
}

/// Makes `at` the root, and takes the old one away. With `.` for both, the old root lies over the new one and nothing
/// has to be made for it (pivot_root(2)).
fn enter(at: &Path) -> Result<(), Obstacle> {
    let failed = |error: rustix::io::Errno| step("enter the root")(error.into());
    rustix::process::chdir(at).map_err(failed)?;
    rustix::process::pivot_root(".", ".").map_err(failed)?;
    unmount(".", UnmountFlags::DETACH).map_err(failed)?;
    rustix::process::chdir("/").map_err(failed)
}

fn make_directory(path: &Path) -> Result<(), Obstacle> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(named_io("make", path))
}

fn make_around(path: &Path) -> Result<(), Obstacle> {
    path.parent().map_or(Ok(()), make_directory)
}

fn make_file(path: &Path) -> Result<(), Obstacle> {
    fs::write(path, []).map_err(named_io("make", path))
}

fn set_attributes(path: &Path, recursive: bool, set: u64, clear: u64) -> Result<(), Obstacle> {
    let text = CString::new(PathBuf::from(path).into_os_string().into_vec());
    let text = text.map_err(|error| named_io("protect", path)(io::Error::other(error)))?;
    sys::mount_setattr(&text, recursive, set, clear).map_err(named_io("protect", path))
}

fn named(what: &str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> Obstacle {
    let failed = named_io(what, path);
    move |error| failed(error.into())
}

fn named_io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Obstacle {
    step(format!("{what} {}", path.display()))
}

/// The kernel's number of an error; EIO for one that is not the kernel's.
pub(super) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
