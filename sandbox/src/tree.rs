//! Trees of files: removing them and making them canonical, whatever a build made of them.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

/// What every file in a store says when it was changed: one second after the epoch, as in Guix and Nix.
const CANONICAL_SECONDS: i64 = 1;

/// Bytes of a path below which the next name surely fits: paths may have 4095, names 255.
const DEEP: usize = 3500;

/// Removes a file or a whole tree; succeeds if nothing is there. Symbolic links are not followed.
///
/// Nobody else may change the tree meanwhile: what a build made is removed when none of its processes is left.
pub(crate) fn remove(root: &Path) -> io::Result<()> {
    // Depth first, on a stack of our own: a build can make directories deeper than our stack would be.
    let mut stack = vec![Step::Look(root.to_owned())];
    while let Some(step) = stack.pop() {
        let result = match step {
            Step::Look(path) => match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    // Only the owner's own bits stand in the way, and only of who is not root.
                    if metadata.permissions().mode() & 0o700 != 0o700 {
                        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
                    }
                    stack.push(Step::RemoveDirectory(path.clone()));
                    if path.as_os_str().len() > DEEP {
                        // Names have an end: what is deeper goes on from the top.
                        let up = root.join(format!(".deep-{}", stack.len()));
                        fs::rename(&path, &up)?;
                        stack.push(Step::Look(up));
                        continue;
                    }
                    for entry in fs::read_dir(&path)? {
                        stack.push(Step::Look(entry?.path()));
                    }
                    Ok(())
                }
                Ok(_) => fs::remove_file(&path),
                Err(error) => Err(error),
            },
            Step::RemoveDirectory(path) => fs::remove_dir(&path),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

enum Step {
    Look(PathBuf),
    RemoveDirectory(PathBuf),
}

/// Why a tree could not be made canonical.
#[derive(Debug)]
pub(crate) enum NotCanonical {
    /// Something cannot be in a store; said for people.
    Content(String),
    Io(io::Error),
}

impl From<io::Error> for NotCanonical {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes a tree canonical: files 444, or 555 if their owner may execute them, directories 555, times of one second after
/// the epoch, no extended attributes, our owner. Nothing but files, directories and symbolic links, and all of
/// them `owner`'s, if there is one: a hard link to somebody else's file is none of the build's.
pub(crate) fn canonicalise(root: &Path, owner: Option<u32>) -> Result<(), NotCanonical> {
    let mut stack = vec![(root.to_owned(), true)];
    while let Some((path, down)) = stack.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        if down {
            check(&path, &metadata, owner)?;
            if metadata.is_dir() {
                // The directory itself comes after what is in it: its time changes no more then.
                if metadata.permissions().mode() & 0o500 != 0o500 {
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
                }
                stack.push((path.clone(), false));
                for entry in fs::read_dir(&path)? {
                    stack.push((entry?.path(), true));
                }
                continue;
            }
        }
        settle(&path, &metadata, owner)?;
    }
    Ok(())
}

fn check(path: &Path, metadata: &fs::Metadata, owner: Option<u32>) -> Result<(), NotCanonical> {
    let kind = metadata.file_type();
    if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
        let what = format!(
            "{} is neither a file nor a directory nor a symbolic link",
            path.display()
        );
        return Err(NotCanonical::Content(what));
    }
    // A file that was linked twice has our owner when it is seen again, and canonical times.
    let seen = metadata.mtime() == CANONICAL_SECONDS
        && metadata.nlink() > 1
        && metadata.uid() == own_uid();
    match owner {
        Some(owner) if metadata.uid() != owner && !seen => Err(NotCanonical::Content(format!(
            "{} belongs to another user than the build's",
            path.display()
        ))),
        _ => Ok(()),
    }
}

fn settle(path: &Path, metadata: &fs::Metadata, owner: Option<u32>) -> io::Result<()> {
    if owner.is_some_and(|owner| owner != own_uid()) {
        std::os::unix::fs::lchown(
            path,
            Some(own_uid()),
            Some(rustix::process::getegid().as_raw()),
        )?;
    }
    if !metadata.is_symlink() {
        let executable = metadata.is_dir() || metadata.permissions().mode() & 0o100 != 0;
        let mode = if executable { 0o555 } else { 0o444 };
        if metadata.permissions().mode() & 0o7777 != mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
    }
    remove_attributes(path)?;
    set_times(path)
}

/// Makes a directory canonical that was, before it was moved.
pub(crate) fn settle_directory(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o555))?;
    set_times(path)
}

fn set_times(path: &Path) -> io::Result<()> {
    let time = Timespec {
        tv_sec: CANONICAL_SECONDS,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(rustix::fs::utimensat(
        CWD,
        path,
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// Removes extended attributes (access control lists among them), but for what security modules put on everything.
fn remove_attributes(path: &Path) -> io::Result<()> {
    let mut names = [0; 4096];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        if !name.starts_with(b"security.") || name == b"security.capability" {
            rustix::fs::lremovexattr(path, name)?;
        }
    }
    Ok(())
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}
