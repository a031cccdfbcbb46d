//! What a build sees as `/`: planned here, made by the helper.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use grange_derivation::{Dialect, StoreDir, StorePath};

use crate::plan::{Bind, Ids, Node, PrivateRoot, Raw};
use crate::scratch::Scratch;
use crate::store::Inner;
use crate::{dialect, machine};

/// What goes into a root.
#[derive(Debug)]
pub(crate) struct RootSpec<'a> {
    pub store: &'a Inner,
    pub store_dir: &'a StoreDir,
    pub dialect: Dialect,
    /// Whom the build takes itself for.
    pub ids: Ids,
    pub inputs: &'a [StorePath],
    pub sandbox_paths: &'a [PathBuf],
    pub host_network: bool,
    /// Where the build starts.
    pub build_directory: &'a str,
    pub scratch: &'a Scratch,
}

impl RootSpec<'_> {
    /// The plan. Blocks: every input is looked at.
    pub(crate) fn plan(&self) -> io::Result<PrivateRoot> {
        let mut root = PrivateRoot {
            at: raw(&self.scratch.mount_point()),
            ..PrivateRoot::default()
        };
        let fixed = ["dev", "dev/pts", "dev/shm", "etc", "proc"];
        root.directories = fixed.iter().map(|name| name.as_bytes().to_vec()).collect();
        root.devices = machine::devices()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        root.links = [
            ("dev/fd", "/proc/self/fd"),
            ("dev/stdin", "/proc/self/fd/0"),
            ("dev/stdout", "/proc/self/fd/1"),
            ("dev/stderr", "/proc/self/fd/2"),
            ("dev/ptmx", "/dev/pts/ptmx"),
        ]
        .map(|(name, target)| (name.into(), target.into()))
        .to_vec();
        self.configuration(&mut root)?;
        self.temporary(&mut root);
        for path in self.sandbox_paths {
            declared(&mut root, path)?;
        }
        self.items(&mut root)?;
        Ok(root)
    }

    fn configuration(&self, root: &mut PrivateRoot) -> io::Result<()> {
        let mut file = |name: &str, contents: Vec<u8>| root.files.push((name.into(), contents));
        file(
            "etc/passwd",
            dialect::passwd(self.dialect, self.ids).into_bytes(),
        );
        file(
            "etc/group",
            dialect::group(self.dialect, self.ids).into_bytes(),
        );
        if !self.host_network {
            file("etc/hosts", dialect::HOSTS.into());
            return Ok(());
        }
        for name in dialect::network_files(self.dialect) {
            // The contents, and not the file: it often is a link to somewhere else.
            match fs::read(Path::new("/").join(name)) {
                Ok(contents) => file(name, contents),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if let Some((name, contents)) = dialect::network_extras(self.dialect) {
            file(name, contents.into());
        }
        Ok(())
    }

    fn temporary(&self, root: &mut PrivateRoot) {
        let writable = |source: PathBuf, target: &str| Bind {
            source: raw(&source),
            target: target.trim_start_matches('/').into(),
            node: Node::Directory,
            writable: true,
        };
        root.binds.push(writable(self.scratch.temporary(), "/tmp"));
        root.binds
            .push(writable(self.scratch.build(), self.build_directory));
        root.binds
            .push(writable(self.scratch.outputs(), self.store_dir.as_str()));
    }

    fn items(&self, root: &mut PrivateRoot) -> io::Result<()> {
        for path in self.inputs {
            let source = self.store.layout().item(path);
            let target: Raw = path.to_string().trim_start_matches('/').into();
            show(root, &source, target)?;
        }
        Ok(())
    }
}

/// Shows a declared path.
fn declared(root: &mut PrivateRoot, path: &Path) -> io::Result<()> {
    let target = path.strip_prefix("/").map_err(io::Error::other)?;
    show(root, path, target.as_os_str().as_bytes().to_vec())
}

/// A bind mount follows symbolic links, so a link is made again instead.
fn show(root: &mut PrivateRoot, source: &Path, target: Raw) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", source.display()));
    let metadata = fs::symlink_metadata(source).map_err(named)?;
    if metadata.is_symlink() {
        root.links.push((
            target,
            fs::read_link(source)
                .map_err(named)?
                .into_os_string()
                .into_vec(),
        ));
        return Ok(());
    }
    let node = if metadata.is_dir() {
        Node::Directory
    } else {
        Node::File
    };
    root.binds.push(Bind {
        source: raw(source),
        target,
        node,
        writable: false,
    });
    Ok(())
}

fn raw(path: &Path) -> Raw {
    path.as_os_str().as_bytes().to_vec()
}
