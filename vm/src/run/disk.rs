//! The disk that what is written in a guest goes to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::error::{BootError, io};
use crate::qemu::User;

/// What makes the file system.
const PROGRAM: &str = "mke2fs";
/// Where it is, if `PATH` is an ordinary user's.
const PLACES: &[&str] = &["/usr/sbin", "/sbin"];
/// What kernels of 2009 know already, whatever this host's configuration says. There is no journal, since nobody mounts it after a crash.
const FEATURES: &str = "none,ext_attr,filetype,sparse_super,large_file,dir_index,extent,huge_file,flex_bg,dir_nlink,extra_isize";
/// The file's name, where it goes with a machine or a template.
const FILE: &str = "disk";

/// A disk that what is written in a guest goes to, in place of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedDisk {
    /// Its size in bytes.
    pub size: u64,
    program: PathBuf,
}

/// The file of a disk that nobody needs any more when this is dropped.
#[derive(Debug)]
pub(super) struct DiskFile(PathBuf);

impl Drop for DiskFile {
    fn drop(&mut self) {
        // It is swept with its directory otherwise.
        let _: std::io::Result<()> = fs::remove_file(&self.0);
    }
}

impl PlannedDisk {
    /// A disk of that size. The program that makes its file system is looked for in `search`, and where root has it.
    ///
    /// # Errors
    ///
    /// There is no `mke2fs`.
    pub fn find(size: u64, search: &[PathBuf]) -> Result<Self, BootError> {
        let places = search.iter().map(PathBuf::as_path);
        let places = places.chain(PLACES.iter().map(Path::new));
        let mut programs = places.map(|place| place.join(PROGRAM));
        let program = programs.find(|program| program.is_file());
        let program = program.ok_or(BootError::NoMke2fs)?;
        Ok(Self { size, program })
    }

    /// Makes it in `directory`: a file with holes, and an empty ext4 in it.
    pub(super) async fn make(
        &self,
        directory: &Path,
        user: Option<User>,
    ) -> Result<DiskFile, BootError> {
        let path = file(directory);
        let made = File::create_new(&path).map_err(io("make", &path))?;
        let disk = DiskFile(path.clone());
        made.set_len(self.size).map_err(io("make room in", &path))?;
        let mut command = tokio::process::Command::new(&self.program);
        // Blocks of the size of pages; tables of inodes as holes; nothing that is kept for root.
        command
            .args(["-q", "-F", "-t", "ext4", "-O", FEATURES])
            .args(["-b", "4096", "-I", "256", "-i", "16384", "-m", "0"])
            .args(["-E", "lazy_itable_init=0,root_owner=0:0"])
            .arg(&path)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await;
        let output = output.map_err(io("run", &self.program))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(BootError::Mke2fs {
                path,
                said: said.trim().to_owned(),
            });
        }
        if let Some(user) = user {
            let owned = std::os::unix::fs::fchown(&made, Some(user.uid), Some(user.gid));
            owned.map_err(io("give away", &path))?;
        }
        Ok(disk)
    }
}

/// Its file in a directory.
pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[tokio::test]
    async fn a_disk_takes_little_of_the_host_and_goes() {
        let Ok(planned) = PlannedDisk::find(8 << 30, &[]) else {
            return eprintln!("skipped: needs mke2fs (Debian package e2fsprogs)");
        };
        let directory = tempfile::tempdir().unwrap();
        let disk = planned.make(directory.path(), None).await.unwrap();
        let about = fs::metadata(file(directory.path())).unwrap();
        assert_eq!(about.len(), 8 << 30);
        assert!(about.blocks() * 512 < 16 << 20, "{}", about.blocks());
        let twice = planned.make(directory.path(), None).await.unwrap_err();
        assert!(matches!(twice, BootError::Io { .. }), "{twice}");
        drop(disk);
        assert!(!file(directory.path()).exists());
    }

    #[tokio::test]
    async fn what_cannot_be_made_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join(PROGRAM);
        fs::write(&program, "#!/bin/sh\necho no room >&2\nexit 1\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        let search = [directory.path().to_owned()];
        let planned = PlannedDisk::find(1 << 30, &search).unwrap();
        let error = planned.make(directory.path(), None).await.unwrap_err();
        assert!(error.to_string().contains("no room"), "{error}");
        assert!(!file(directory.path()).exists());
    }
}
