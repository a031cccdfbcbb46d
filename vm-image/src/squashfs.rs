//! A tree as a squashfs, by `mksquashfs -tar`, which takes a tar from its standard input and so needs no root for owners.
//! That takes squashfs-tools 4.5 or later.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tar::{Builder, EntryType, Header};

use crate::error::{ImageError, at};
use crate::place::Place;
use crate::spool::Spool;
use crate::tree::{Attributes, Entry, Node, Tree};

const PROGRAM: &str = "mksquashfs";

/// Writes `tree` to `target`, no date later than `clamp`. The same tree gives the same bytes. `log` is a file for what `mksquashfs` says.
pub(crate) fn write(
    tree: &Tree,
    spool: &Spool,
    clamp: u64,
    target: &Path,
    log: &Path,
) -> Result<(), ImageError> {
    let said = File::create(log).map_err(at("make", log))?;
    let mut child = Command::new(PROGRAM)
        .arg("-")
        .arg(target)
        .args(["-tar", "-noappend", "-reproducible", "-b", "128K"])
        // A third larger than with zstd; but without KVM the first compilation in a machine takes 3.8 s in place of 5.1 s.
        .args(["-comp", "lz4"])
        .args(["-root-mode", "755", "-root-uid", "0", "-root-gid", "0"])
        .args(["-no-xattrs", "-no-progress", "-quiet", "-exit-on-error"])
        // The date of the file system, and the latest one in it: `-root-time` has no effect on a tar.
        .env("SOURCE_DATE_EPOCH", clamp.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ImageError::NoProgram {
                program: PROGRAM.to_owned(),
                package: "squashfs-tools",
            },
            _ => at("run", Path::new(PROGRAM))(error),
        })?;
    let input = child.stdin.take().expect("it is piped");
    let written = stream(
        tree,
        spool,
        clamp,
        BufWriter::with_capacity(256 << 10, input),
    );
    let status = child.wait().map_err(at("wait for", Path::new(PROGRAM)))?;
    match written {
        Ok(()) if status.success() => Ok(()),
        // It ended early, and has said why.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(at("write", target)(error)),
        _ => Err(ImageError::Program {
            program: PROGRAM.to_owned(),
            said: last_lines(log).unwrap_or_else(|| status.to_string()),
        }),
    }
}

/// The tree as a tar.
fn stream(tree: &Tree, spool: &Spool, clamp: u64, out: impl Write) -> io::Result<()> {
    let mut tar = Builder::new(out);
    for (place, entry) in tree.iter() {
        append(&mut tar, place, entry, spool, clamp)?;
    }
    tar.into_inner()?.flush()
}

fn append(
    tar: &mut Builder<impl Write>,
    place: &Place,
    entry: &Entry,
    spool: &Spool,
    clamp: u64,
) -> io::Result<()> {
    let path = Path::new(OsStr::from_bytes(place.bytes()));
    let mut header = header(&entry.attributes, clamp);
    match &entry.node {
        Node::Directory => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, path, io::empty())
        }
        Node::File(content) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(content.size);
            tar.append_data(&mut header, path, spool.open(*content)?)
        }
        Node::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            let target = Path::new(OsStr::from_bytes(target));
            tar.append_link(&mut header, path, target)
        }
    }
}

fn header(attributes: &Attributes, clamp: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(attributes.mode);
    header.set_uid(attributes.uid.into());
    header.set_gid(attributes.gid.into());
    header.set_mtime(attributes.mtime.min(clamp));
    header.set_size(0);
    header
}

/// The end of what a program said, as one line.
pub(crate) fn last_lines(log: &Path) -> Option<String> {
    let text = fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    let last = lines.iter().skip(lines.len().saturating_sub(4)).copied();
    Some(last.collect::<Vec<_>>().join("; ")).filter(|it| !it.is_empty())
}
