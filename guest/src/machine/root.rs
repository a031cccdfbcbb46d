//! From the initramfs to the root: a read-only file system, with memory or a disk above it.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::mount::{MountFlags, mount, mount_move};
use rustix::process::{chdir, chroot};

use super::mounts::make;
use super::options::{Options, Source};
use super::patience::wait_for;

/// How long to wait for a disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much may be written to the root if nothing else was asked for.
const OVERLAY_SIZE: &str = "50%";
/// Where the parts of the root are mounted in the initramfs.
const LOWER: &str = "/grange-lower";
const UPPER: &str = "/grange-upper";
const ROOT: &str = "/grange-root";

/// Makes `source` the root.
pub(super) fn switch(source: &Source, options: &Options) -> Result<(), String> {
    attach(source, LOWER)?;
    match &options.disk {
        Some(disk) => mount_device(disk, UPPER, MountFlags::NOATIME)?,
        None => mount_memory(options)?,
    }
    for part in ["data", "work"] {
        make(&Path::new(UPPER).join(part)).map_err(said(UPPER))?;
    }
    make(Path::new(ROOT)).map_err(said(ROOT))?;
    let layers = format!("lowerdir={LOWER},upperdir={UPPER}/data,workdir={UPPER}/work");
    let layers = CString::new(layers).map_err(said("overlay"))?;
    mount("overlay", ROOT, "overlay", MountFlags::empty(), &*layers)
        .map_err(said("the overlay"))?;
    for kernel in ["dev", "proc", "sys"] {
        let to = Path::new(ROOT).join(kernel);
        make(&to).map_err(said(kernel))?;
        mount_move(Path::new("/").join(kernel), &to).map_err(said(kernel))?;
    }
    free_initramfs();
    chdir(ROOT).map_err(said(ROOT))?;
    mount_move(".", "/").map_err(said("the root"))?;
    chroot(".").map_err(said("the root"))?;
    chdir("/").map_err(said("the root"))
}

fn mount_memory(options: &Options) -> Result<(), String> {
    let size = options.overlay_size.as_deref().unwrap_or(OVERLAY_SIZE);
    let memory = CString::new(format!("mode=0755,size={size}")).map_err(said("overlay size"))?;
    make(Path::new(UPPER)).map_err(said(UPPER))?;
    mount("tmpfs", UPPER, "tmpfs", MountFlags::empty(), &*memory).map_err(said(UPPER))
}

/// Mounts a device's file system, read-only.
pub(super) fn attach(source: &Source, at: &str) -> Result<(), String> {
    mount_device(source, at, MountFlags::RDONLY)
}

fn mount_device(source: &Source, at: &str, flags: MountFlags) -> Result<(), String> {
    let device = Path::new(&source.device);
    wait_for(PATIENCE, || device.exists().then_some(()))
        .ok_or_else(|| format!("there is no {}", source.device))?;
    make(Path::new(at)).map_err(said(at))?;
    let kind = source.kind.as_str();
    mount(device, at, kind, flags, c"")
        .map_err(|error| format!("cannot mount {} as {kind}: {error}", source.device))
}

/// Gives the initramfs's memory back.
fn free_initramfs() {
    let root = Path::new("/");
    if let Ok(metadata) = fs::symlink_metadata(root) {
        empty(root, metadata.dev());
    }
}

/// Removes what is in a directory, but not what is mounted there. What cannot be removed only takes memory.
fn empty(directory: &Path, device: u64) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(found) if found.dev() != device => {}
            Ok(found) if found.is_dir() => {
                empty(&path, device);
                drop(fs::remove_dir(&path));
            }
            _ => drop(fs::remove_file(&path)),
        }
    }
}

fn said<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("cannot set up {what}: {error}")
}
