//! Files and directories, into a guest and out of it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use grange_derivation::HashAlgo;
use grange_guest::client::Guest;
use grange_guest::protocol::{Digest, Exec, Put};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio_util::io::SyncIoBridge;

use crate::failure;

/// A file that is taken out of a guest has at most so many bytes.
const MOST: u64 = 64 << 30;
/// So much of what a program complains of is kept.
const COMPLAINTS: usize = 64 << 10;

/// What goes in, or comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) here: PathBuf,
    pub(super) there: String,
}

impl Transfer {
    /// `HERE:THERE`, of which the guest's is absolute.
    pub(super) fn put(text: &str) -> anyhow::Result<Self> {
        match text.rsplit_once(':') {
            Some((here, there)) if !here.is_empty() && there.starts_with('/') => Ok(Self {
                here: here.into(),
                there: there.into(),
            }),
            _ => Err(failure::usage(format!(
                "--put {text}: it must be HERE:THERE, and THERE absolute"
            ))),
        }
    }

    /// `THERE:HERE`.
    pub(super) fn get(text: &str) -> anyhow::Result<Self> {
        match text.split_once(':') {
            Some((there, here)) if there.starts_with('/') && !here.is_empty() => Ok(Self {
                here: here.into(),
                there: there.into(),
            }),
            _ => Err(failure::usage(format!(
                "--get {text}: it must be THERE:HERE, and THERE absolute"
            ))),
        }
    }
}

/// Puts a file or directory into the guest.
pub(super) async fn put(guest: &Guest, transfer: &Transfer) -> anyhow::Result<()> {
    let Transfer { here, there } = transfer;
    let about = tokio::fs::metadata(here).await;
    let about = about.with_context(|| format!("cannot read {}", here.display()))?;
    if about.is_dir() {
        return put_directory(guest, here, there).await;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let (size, digest) = digest(here).await?;
    let put = Put::new(there, size, digest).mode(about.permissions().mode() & 0o7777);
    let file = tokio::fs::File::open(here).await?;
    let done = guest.put(put, file).await;
    done.with_context(|| format!("cannot put {} into the guest", here.display()))
}

async fn digest(file: &Path) -> anyhow::Result<(u64, Digest)> {
    let mut from = tokio::fs::File::open(file).await?;
    let mut hash = HashAlgo::Sha256.hasher().expect("SHA-256 is there");
    let (mut size, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        size += count as u64;
    }
    let digest = hash.finish().as_bytes().try_into();
    Ok((size, Digest::new(digest.expect("SHA-256 has 32 bytes"))))
}

/// By an archive from one `tar` to the other. Their files are as old as the guest's clock says: none is from the future.
async fn put_directory(guest: &Guest, here: &Path, there: &str) -> anyhow::Result<()> {
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(here).args(["-c", "--sort=name", "."]);
    pack.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut pack = pack.spawn().context("cannot run tar")?;
    let mut archive = pack.stdout.take().context("tar has no output")?;
    let script = "mkdir -p \"$1\" && exec tar -x -m --no-same-owner -C \"$1\"";
    let unpack = Exec::new("/bin/sh")
        .args(["-c", script, "sh", there])
        .with_stdin();
    let mut running = guest.run(unpack).await?;
    let mut input = running
        .stdin
        .take()
        .context("the guest's tar has no input")?;
    let copying = async {
        let copied = tokio::io::copy(&mut archive, &mut input).await;
        drop(input);
        copied
    };
    let (copied, output) = tokio::join!(copying, running.output(COMPLAINTS));
    let output = output?;
    if !output.exit.is_success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "cannot unpack {} in the guest: {}: {}",
            here.display(),
            output.exit,
            said.trim()
        );
    }
    copied?;
    let packed = pack.wait().await?;
    if !packed.success() {
        bail!("cannot pack {}: tar ended with {packed}", here.display());
    }
    Ok(())
}

/// Takes a file or directory out of the guest.
pub(super) async fn get(guest: &Guest, transfer: &Transfer) -> anyhow::Result<()> {
    let Transfer { here, there } = transfer;
    let asked = guest
        .run(Exec::new("/bin/sh").args(["-c", "[ -d \"$1\" ]", "sh", there]))
        .await?;
    if asked.output(COMPLAINTS).await?.exit.is_success() {
        return get_directory(guest, there, here).await;
    }
    // It appears whole or not at all.
    let mut part = here.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = tokio::fs::File::create(&part).await;
    let mut file = file.with_context(|| format!("cannot write {}", part.display()))?;
    let got = guest.get(there.as_str(), &mut file, MOST).await;
    let got = match got {
        Ok(got) => got,
        Err(error) => {
            // The error says more than one of this would.
            let _: std::io::Result<()> = tokio::fs::remove_file(&part).await;
            return Err(error).with_context(|| format!("cannot take {there} out of the guest"));
        }
    };
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(got.mode & 0o777);
    file.set_permissions(mode).await?;
    tokio::fs::rename(&part, here).await?;
    Ok(())
}

/// By an archive of the guest's `tar`, which is read here: nothing but directories, files and links comes out of a guest, and nothing outside
/// of the directory.
async fn get_directory(guest: &Guest, there: &str, here: &Path) -> anyhow::Result<()> {
    let made = tokio::fs::create_dir_all(here).await;
    made.with_context(|| format!("cannot make {}", here.display()))?;
    let mut running = guest
        .run(Exec::new("tar").args(["-C", there, "-c", "."]))
        .await?;
    let archive = running
        .stdout
        .take()
        .context("the guest's tar has no output")?;
    let archive = SyncIoBridge::new(archive.take(MOST));
    let into = here.to_owned();
    let unpacking = tokio::task::spawn_blocking(move || unpack(archive, &into));
    let (unpacked, packed) = tokio::join!(unpacking, running.output(COMPLAINTS));
    let packed = packed?;
    unpacked?.with_context(|| format!("cannot unpack {there} into {}", here.display()))?;
    if !packed.exit.is_success() {
        let said = String::from_utf8_lossy(&packed.stderr);
        bail!(
            "cannot pack {there} in the guest: {}: {}",
            packed.exit,
            said.trim()
        );
    }
    Ok(())
}

fn unpack(archive: impl std::io::Read, into: &Path) -> anyhow::Result<()> {
    use tar::EntryType;
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let fits = matches!(
            kind,
            EntryType::Regular | EntryType::Directory | EntryType::Symlink | EntryType::Link
        );
        if fits {
            // One that leads out of the directory is left out by this.
            entry.unpack_in(into)?;
        }
    }
    // What pads it is read, too, so that whoever sends it ends well.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_files_and_links_comes_out_of_a_guest() {
        use std::os::unix::fs::FileTypeExt as _;
        let mut archive = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: tar::EntryType| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o4777);
            header.set_size(if kind.is_file() { 3 } else { 0 });
            header.set_device_major(8).unwrap();
            header.set_device_minor(0).unwrap();
            if kind.is_symlink() {
                header.set_link_name("/etc").unwrap();
            }
            // As nobody who is well-meaning writes it.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            archive
                .append(&header, if kind.is_file() { &b"abc"[..] } else { b"" })
                .unwrap();
        };
        add("./good", tar::EntryType::Regular);
        add("./disk", tar::EntryType::Block);
        add("./pipe", tar::EntryType::Fifo);
        add("../out", tar::EntryType::Regular);
        add("./link", tar::EntryType::Symlink);
        add("./link/through", tar::EntryType::Regular);
        let archive = archive.into_inner().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let into = directory.path().join("into");
        std::fs::create_dir(&into).unwrap();
        // That something would go through a link that leads out is an error.
        unpack(&*archive, &into).unwrap_err();
        assert_eq!(std::fs::read(into.join("good")).unwrap(), b"abc");
        let mut entries: Vec<_> = std::fs::read_dir(&into)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let names: Vec<_> = entries.iter().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["good", "link"]);
        assert!(
            entries
                .iter()
                .all(|entry| !entry.file_type().unwrap().is_block_device())
        );
        assert!(!directory.path().join("out").exists());
        use std::os::unix::fs::PermissionsExt as _;
        let mode = into.join("good").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7000, 0);
    }

    #[test]
    fn transfers_are_from_one_to_the_other() {
        let put = Transfer::put("./a:b:/c").unwrap();
        assert_eq!((put.here.to_str(), &*put.there), (Some("./a:b"), "/c"));
        let get = Transfer::get("/c:./a:b").unwrap();
        assert_eq!((get.here.to_str(), &*get.there), (Some("./a:b"), "/c"));
        for bad in ["a", "a:b", ":/b", ""] {
            assert!(Transfer::put(bad).is_err(), "{bad}");
        }
        for bad in ["/a", "a:b", "/a:", ""] {
            assert!(Transfer::get(bad).is_err(), "{bad}");
        }
    }
}
