//! The directories of one running build.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::plan::Ids;
use crate::tree;

/// Directories that go when this does.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Where the outputs are made; on the store's file system.
    top: PathBuf,
    /// Where temporary files are made, if that is elsewhere.
    elsewhere: Option<PathBuf>,
}

impl Scratch {
    /// Makes them. `name` must be nobody else's in either place.
    pub(crate) fn create(builds: &Path, elsewhere: Option<&Path>, name: &str) -> io::Result<Self> {
        let scratch = Self {
            top: builds.join(name),
            elsewhere: elsewhere.map(|place| place.join(name)),
        };
        make(&scratch.top, 0o700)?;
        if let Some(elsewhere) = &scratch.elsewhere {
            make(elsewhere, 0o700)?;
        }
        make(&scratch.mount_point(), 0o755)?;
        make(&scratch.outputs(), 0o755)?;
        make(&scratch.temporary(), 0o755)?;
        make(&scratch.build(), 0o700)?;
        Ok(scratch)
    }

    /// Gives them to the user that the build runs as, where that is not ours. As in the real daemons, the directories
    /// for outputs and for temporary files stay ours and can be written to by others.
    pub(crate) fn give_to(&self, ids: Ids) -> io::Result<()> {
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        chown(self.build(), Some(ids.uid), Some(ids.gid))?;
        chown(self.outputs(), None, Some(ids.gid))?;
        set(&self.outputs(), 0o1775)
    }

    /// Lets everybody write temporary files; nobody else gets there.
    pub(crate) fn open_temporary(&self) -> io::Result<()> {
        fs::set_permissions(self.temporary(), fs::Permissions::from_mode(0o1777))
    }

    /// Where the root is mounted.
    pub(crate) fn mount_point(&self) -> PathBuf {
        self.top.join("root")
    }

    /// What the build sees as its store directory.
    pub(crate) fn outputs(&self) -> PathBuf {
        self.top.join("store")
    }

    /// What it sees as `/tmp`.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.large().join("tmp")
    }

    /// The directory that it starts in.
    pub(crate) fn build(&self) -> PathBuf {
        self.large().join("build")
    }

    fn large(&self) -> &Path {
        self.elsewhere.as_deref().unwrap_or(&self.top)
    }

    /// Removes everything; no process of the build may be left.
    pub(crate) fn remove(&self) -> io::Result<()> {
        tree::remove(&self.top)?;
        self.elsewhere.as_deref().map_or(Ok(()), tree::remove)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(%error, directory = %self.top.display(), "a build's directory could not be removed");
        }
    }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)?;
    // Whatever the umask says.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
