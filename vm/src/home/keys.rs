//! The keys of a machine: what Guix's service makes when a system with a virtual build machine is activated.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use grange_signatures::guix::{Acl, PublicKey, SecretKey};
use rand::RngCore as _;

use super::clients;
use super::error::{HomeError, io};
use super::machines::{MachineHome, write};
use crate::secrets::SecretFile;

/// Who shall trust whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyOptions {
    /// Public keys of Guix that the guest accepts imports from: the host's. Default: none.
    pub host_keys: Vec<PathBuf>,
    /// The host's list of keys, which the guest's is added to. Default: none; a `guix archive --authorize` has to do it.
    pub host_acl: Option<PathBuf>,
}

/// Where a machine's keys lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// What goes into the guest, under the same paths: `etc/ssh`, `etc/guix`.
    pub root: PathBuf,
    /// The secret key with which one gets into it by ssh.
    pub offload: PathBuf,
    /// The key by which whoever connects knows it.
    pub host_key: PathBuf,
    /// The key that it signs with.
    pub signing_key: PathBuf,
}

impl MachineHome {
    /// Where its keys lie.
    #[must_use]
    pub fn keys(&self) -> KeyFiles {
        let keys = self.directory().join("keys");
        KeyFiles {
            offload: keys.join("offload"),
            host_key: keys.join("root/etc/ssh/ssh_host_ed25519_key.pub"),
            signing_key: keys.join("root/etc/guix/signing-key.pub"),
            root: keys.join("root"),
        }
    }

    /// Makes its keys: ssh host keys, a pair to get into it, and a pair that it signs with; the guest trusts the host's keys, and the host
    /// the guest's. Beside them lie what ssh and Guix's offloading read to find the machine: `ssh_config`, `machine.scm`.
    ///
    /// # Errors
    ///
    /// `ssh-keygen` is not there or fails, a key of the host is none, or a file cannot be written.
    pub fn make_keys(&self, options: &KeyOptions) -> Result<KeyFiles, HomeError> {
        let files = self.keys();
        let ssh = files.root.join("etc/ssh");
        let guix = files.root.join("etc/guix");
        for directory in [&ssh.join("authorized_keys.d"), &guix] {
            fs::create_dir_all(directory).map_err(io("make", directory))?;
        }
        private(&self.directory().join("keys"))?;
        keygen(&[Path::new("-A"), Path::new("-f"), &files.root])?;
        let comment = format!("offload key of {}", self.machine.name);
        let pair = ["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f"].map(Path::new);
        keygen(&[&pair[..], &[&files.offload]].concat())?;
        let public = files.offload.with_extension("pub");
        let authorized = ssh.join("authorized_keys.d/offloading");
        fs::copy(&public, &authorized).map_err(io("copy", &public))?;

        let mut random = [0; 32];
        rand::rng().fill_bytes(&mut random);
        let secret = SecretKey::generate(&random);
        let path = guix.join("signing-key.sec");
        let mut options_of_file = fs::OpenOptions::new();
        options_of_file.write(true).create_new(true).mode(0o400);
        let mut file = options_of_file.open(&path).map_err(io("make", &path))?;
        let text = secret.to_file();
        file.write_all(text.expose()).map_err(io("write", &path))?;
        write(&files.signing_key, &secret.public().to_file())?;

        let mut acl = Acl::default();
        acl.authorize(secret.public());
        for path in &options.host_keys {
            let text = fs::read(path).map_err(io("read", path))?;
            let key = PublicKey::parse(&text).map_err(|error| HomeError::Key {
                path: path.clone(),
                what: format!("no public key of Guix: {error}"),
            })?;
            acl.authorize(&key);
        }
        write(&guix.join("acl"), &acl.to_file())?;
        if let Some(path) = &options.host_acl {
            trust(path, secret.public())?;
        }
        clients::write_all(&self.machine, &files)?;
        Ok(files)
    }

    /// Its keys as they go into the guest; none, if none were made.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub fn secrets(&self) -> Result<Vec<SecretFile>, HomeError> {
        let root = self.keys().root;
        let mut secrets = Vec::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io("read", directory)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(io("read", &directory))?;
                let path = entry.path();
                let about = entry.metadata().map_err(io("look at", &path))?;
                if about.is_dir() {
                    directories.push(path);
                    continue;
                }
                let inside = path.strip_prefix(&root).unwrap_or(&path);
                secrets.push(SecretFile {
                    path: format!("/{}", inside.display()),
                    mode: about.permissions().mode() & 0o7777,
                    contents: fs::read(&path).map_err(io("read", &path))?,
                });
            }
        }
        secrets.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(secrets)
    }
}

/// Adds a key to a list of keys, if it is not in it. The list appears anew whole.
fn trust(path: &Path, key: &PublicKey) -> Result<(), HomeError> {
    // On Guix System it may be a link into the store.
    let linked = fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
    if linked {
        return Err(HomeError::Key {
            path: path.to_owned(),
            what: "a link: its target belongs to the system's configuration, which has to say that the guest is trusted".into(),
        });
    }
    let mut acl = match fs::read(path) {
        Ok(text) => Acl::parse(&text).map_err(|error| HomeError::Key {
            path: path.to_owned(),
            what: format!("no list of keys of Guix: {error}"),
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Acl::default(),
        Err(error) => return Err(io("read", path)(error)),
    };
    if !acl.authorize(key) {
        return Ok(());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    write(&part, &acl.to_file())?;
    fs::rename(&part, path).map_err(io("rename", part))
}

fn private(directory: &Path) -> Result<(), HomeError> {
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(directory, mode).map_err(io("protect", directory))
}

fn keygen(arguments: &[&Path]) -> Result<(), HomeError> {
    let failed = |said: String| HomeError::Program {
        program: "ssh-keygen",
        said,
    };
    let mut command = Command::new("ssh-keygen");
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            failed("it is not there; Debian's package openssh-client has it".into())
        }
        _ => failed(error.to_string()),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(
        said.trim().lines().last().unwrap_or_default().to_owned(),
    ))
}
