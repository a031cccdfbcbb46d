//! Beginning anew.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use grange_artifacts_dir::ArtifactsDir;

/// What the farm keeps in the state directory. The toolchain is not the farm's.
const KEPT: [&str; 7] = [
    "grange.db",
    "grange.db-wal",
    "grange.db-shm",
    "grange.db-lock",
    "artifacts",
    "agent-1",
    "agent-2",
];

/// Removes what former runs left, unless one still runs.
///
/// A farm would build again what it has, too (`grange build --again`); but an agent cannot make anew what other items
/// in its store refer to, and here each agent has them all.
pub(super) async fn forget(state: &Path) -> anyhow::Result<()> {
    let state = state.to_owned();
    let work = move || {
        let artifacts = state.join("artifacts");
        let held = ArtifactsDir::open(&artifacts).with_context(|| {
            format!(
                "cannot open {} (does another demo run?)",
                artifacts.display()
            )
        })?;
        for name in KEPT {
            let place = state.join(name);
            remove(&place).with_context(|| format!("cannot remove {}", place.display()))?;
        }
        drop(held);
        Ok(())
    };
    tokio::task::spawn_blocking(work).await?
}

/// Removes a file or a directory with all that is in it, directories that nobody may write to included.
fn remove(place: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(place) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.is_dir() {
        return fs::remove_file(place);
    }
    fs::set_permissions(place, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(place)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_only_is_removed_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path().join("outside");
        fs::write(&outside, "x").unwrap();
        let tree = directory.path().join("tree");
        fs::create_dir_all(tree.join("inner")).unwrap();
        fs::write(tree.join("inner/file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("link")).unwrap();
        fs::set_permissions(tree.join("inner"), fs::Permissions::from_mode(0o500)).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists() && outside.exists());
        remove(&tree).unwrap();
    }
}
