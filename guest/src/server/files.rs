//! Files that the host puts and gets.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::exec::write_all;
use crate::mux::{Mux, wait};
use crate::protocol::{Answer, Digest, Put, Turn, check_path};

/// Bytes that are moved at once.
const PIECE: usize = 32 * 1024;

/// Files that were begun. Two of the same directory may be written at once.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A file that is being written, under another name. Removed unless it gets its own.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Once it was renamed it is not there.
        drop(fs::remove_file(&self.path));
    }
}

/// Takes a file, and says how that went.
pub(super) fn put(mux: &Mux, stream: u32, put: &Put) -> Answer {
    match receive(mux, stream, put) {
        Ok(()) => Answer::Done,
        Err(failed) => failed,
    }
}

fn receive(mux: &Mux, stream: u32, put: &Put) -> Result<(), Answer> {
    check_path(&put.path).map_err(|reason| Answer::failed(Turn::Caller, reason))?;
    if put.mode > 0o7777 {
        return Err(Answer::failed(
            Turn::Caller,
            "the mode is more than permissions",
        ));
    }
    let failed = |error: io::Error| failed("write", &put.path, &error);
    let mut temporary = create(Path::new(&put.path)).map_err(failed)?;
    let (mut size, mut hash) = (0_u64, Sha256::new());
    let mut bytes = vec![0; PIECE];
    loop {
        let count = wait(|cx| mux.poll_read(stream, 0, &mut bytes, cx))
            // Nobody hears that any more.
            .map_err(|error| Answer::failed(Turn::Caller, error))?;
        if count == 0 {
            break;
        }
        size += count as u64;
        if size > put.size {
            return Err(Answer::failed(
                Turn::Caller,
                format_args!("more than the {} bytes that were announced came", put.size),
            ));
        }
        hash.update(&bytes[..count]);
        temporary.file.write_all(&bytes[..count]).map_err(failed)?;
    }
    let sha256 = Digest::new(hash.finalize().into());
    if (size, sha256) != (put.size, put.sha256) {
        let reason = format!(
            "{size} bytes with hash {sha256} came; announced were {} with {}",
            put.size, put.sha256
        );
        return Err(Answer::failed(Turn::Caller, reason));
    }
    let finish = || {
        // Only whoever may give files away can do so; nothing is to be done if it is ours anyway.
        fchown(&temporary.file, Some(put.uid), Some(put.gid))?;
        // After the owner: changing that takes set-user-id away.
        let mode = fs::Permissions::from_mode(put.mode);
        temporary.file.set_permissions(mode)?;
        fs::rename(&temporary.path, &put.path)
    };
    finish().map_err(failed)
}

/// A file beside `path` that only we may read, in directories that are made if they are not there.
fn create(path: &Path) -> io::Result<Temporary> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(directory)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!(".grange-put-{}-{number}", std::process::id()));
    let open = || {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
    };
    let file = match open() {
        // Of a machine that was killed, on a disk that outlived it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&path)?;
            open()?
        }
        file => file?,
    };
    Ok(Temporary { path, file })
}

/// Sends a file, and says how that went.
pub(super) fn get(mux: &Mux, stream: u32, path: &str) -> Answer {
    send(mux, stream, path).unwrap_or_else(|failed| failed)
}

fn send(mux: &Mux, stream: u32, path: &str) -> Result<Answer, Answer> {
    check_path(path).map_err(|reason| Answer::failed(Turn::Caller, reason))?;
    let failed = |error: io::Error| failed("read", path, &error);
    // Opening a named pipe would wait for a writer.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let reason = format!("{path} is no regular file");
        return Err(Answer::failed(Turn::Caller, reason));
    }
    let (mut size, mut hash) = (0_u64, Sha256::new());
    let mut bytes = vec![0; PIECE];
    loop {
        let count = file.read(&mut bytes).map_err(failed)?;
        if count == 0 {
            break;
        }
        size += count as u64;
        hash.update(&bytes[..count]);
        write_all(mux, stream, 0, &bytes[..count])
            // Nobody hears that any more.
            .map_err(|error| Answer::failed(Turn::Caller, error))?;
    }
    Ok(Answer::Got {
        size,
        sha256: Digest::new(hash.finalize().into()),
        mode: metadata.permissions().mode() & 0o7777,
    })
}

fn failed(what: &str, path: &str, error: &io::Error) -> Answer {
    let turn = match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::AlreadyExists => Turn::Caller,
        _ => Turn::Operator,
    };
    Answer::failed(turn, format_args!("cannot {what} {path}: {error}"))
}
