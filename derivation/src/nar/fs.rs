//! Nars of real files: the one module here that touches the file system.

use super::{Decoder, Digested, Encoder, Error, Event};
use sha2::Digest as _;
use std::ffi::OsString;
use std::fs::{self, File, FileType};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why files could not be packed or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsError {
    /// A file, directory or symbolic link could not be read or made.
    #[error("cannot {action} `{}`", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Sockets, devices and pipes cannot be in a nar.
    #[error("`{}` is neither a file nor a directory nor a symbolic link", .path.display())]
    Unsupported {
        /// What it is.
        path: PathBuf,
    },
    /// The nar could not be written.
    #[error("the nar cannot be written")]
    Write(#[source] io::Error),
    /// The nar could not be read.
    #[error("the nar cannot be read")]
    Read(#[source] io::Error),
    /// What was read is not a nar.
    #[error(transparent)]
    Nar(#[from] Error),
}

impl FsError {
    fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

/// Writes the nar of a file, directory or symbolic link (which is not followed); returns its size.
///
/// Only what a nar holds matters: names, contents, targets, and whether the owner may execute a file. Nobody may change
/// the tree meanwhile; a file that shrinks is an error, other changes may or may not be seen.
///
/// # Errors
/// If something cannot be read, is a socket, device or pipe, or the writer fails.
pub fn pack(path: impl AsRef<Path>, out: &mut impl Write) -> Result<u64, FsError> {
    let mut path = path.as_ref().to_owned();
    let kind = fs::symlink_metadata(&path)
        .map_err(FsError::file("look at", &path))?
        .file_type();
    let mut encoder = Encoder::new(out);
    // The entries still to be packed of each open directory, in order.
    let mut open: Vec<std::vec::IntoIter<(OsString, FileType)>> = Vec::new();
    open.extend(pack_node(&mut encoder, &path, kind)?);
    while let Some(entries) = open.last_mut() {
        match entries.next() {
            Some((name, kind)) => {
                encoder.entry(name.as_bytes()).map_err(FsError::Write)?;
                path.push(&name);
                match pack_node(&mut encoder, &path, kind)? {
                    Some(entries) => open.push(entries),
                    None => {
                        path.pop();
                    }
                }
            }
            None => {
                encoder.end_directory().map_err(FsError::Write)?;
                open.pop();
                path.pop();
            }
        }
    }
    let (_, size) = encoder.finish().map_err(FsError::Write)?;
    Ok(size)
}

/// The hash and size of the nar that [`pack`] would write.
///
/// # Errors
/// As [`pack`].
pub fn digest_path(path: impl AsRef<Path>) -> Result<Digested, FsError> {
    struct Sink(sha2::Sha256);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(sha2::Sha256::new());
    let size = pack(path, &mut sink)?;
    Ok(Digested::new(sink.0.finalize().into(), size))
}

/// Packs a file or symbolic link, or starts a directory and returns its entries.
fn pack_node(
    encoder: &mut Encoder<impl Write>,
    path: &Path,
    kind: FileType,
) -> Result<Option<std::vec::IntoIter<(OsString, FileType)>>, FsError> {
    if kind.is_file() {
        pack_file(encoder, path)?;
        return Ok(None);
    }
    if kind.is_symlink() {
        let target = fs::read_link(path).map_err(FsError::file("read", path))?;
        encoder
            .symlink(target.as_os_str().as_bytes())
            .map_err(FsError::Write)?;
        return Ok(None);
    }
    if !kind.is_dir() {
        return Err(FsError::Unsupported {
            path: path.to_owned(),
        });
    }
    encoder.directory().map_err(FsError::Write)?;
    let entry = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?))
    };
    let entries =
        fs::read_dir(path).and_then(|entries| entries.map(entry).collect::<io::Result<Vec<_>>>());
    let mut entries = entries.map_err(FsError::file("list", path))?;
    entries.sort_unstable_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
    Ok(Some(entries.into_iter()))
}

fn pack_file(encoder: &mut Encoder<impl Write>, path: &Path) -> Result<(), FsError> {
    let mut file = File::open(path).map_err(FsError::file("open", path))?;
    let metadata = file.metadata().map_err(FsError::file("look at", path))?;
    if !metadata.is_file() {
        return Err(FsError::Unsupported {
            path: path.to_owned(),
        });
    }
    let executable = metadata.permissions().mode() & 0o100 != 0;
    encoder
        .regular(executable, metadata.len())
        .map_err(FsError::Write)?;
    let mut source = Source {
        file: &mut file,
        error: None,
    };
    encoder
        .contents(&mut source)
        .map_err(|error| match source.error {
            Some(error) => FsError::file("read", path)(error),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                FsError::file("read all of", path)(error)
            }
            None => FsError::Write(error),
        })
}

/// Tells errors of reading from errors of writing.
struct Source<'a> {
    file: &'a mut File,
    error: Option<io::Error>,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.error = Some(
                    error
                        .raw_os_error()
                        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error),
                );
            }
        })
    }
}

/// Makes the file, directory or symbolic link that a nar describes at `path`, where nothing may be yet; returns the
/// nar's size. Reads to the end: bytes after the nar are an error.
///
/// Everything is made anew and nothing is opened twice, so nothing is written through a symbolic link, neither one of
/// the nar nor one that was there. Files get mode 666, executable ones and directories 777, less the umask; owner and
/// times are the process's. What was made before an error stays there, for the caller to remove.
///
/// # Errors
/// If the reader fails, what it gives is not one whole nar, or something cannot be made.
pub fn unpack(source: &mut impl Read, path: impl AsRef<Path>) -> Result<u64, FsError> {
    let mut decoder = Decoder::new();
    let mut tree = Tree {
        path: path.as_ref().to_owned(),
        file: None,
    };
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok(decoder.finish()?),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FsError::Read(error)),
        };
        let mut input = &buffer[..count];
        while let Some(event) = decoder.decode(&mut input)? {
            tree.event(event)?;
        }
    }
}

/// Where unpacking is.
struct Tree {
    path: PathBuf,
    file: Option<File>,
}

impl Tree {
    fn event(&mut self, event: Event<'_>) -> Result<(), FsError> {
        match event {
            Event::StartDirectory => {
                fs::create_dir(&self.path)
                    .map_err(FsError::file("make the directory", &self.path))?;
            }
            Event::Entry(name) => self.path.push(OsString::from_vec(name.to_vec())),
            Event::EndDirectory => self.leave(),
            Event::Regular { executable, .. } => {
                let mode = if executable { 0o777 } else { 0o666 };
                let file = File::options()
                    .write(true)
                    .create_new(true)
                    .mode(mode)
                    .open(&self.path);
                self.file = Some(file.map_err(FsError::file("make the file", &self.path))?);
            }
            Event::Data(bytes) => {
                if let Some(file) = &mut self.file {
                    file.write_all(bytes)
                        .map_err(FsError::file("write", &self.path))?;
                }
            }
            Event::EndRegular => {
                self.file = None;
                self.leave();
            }
            Event::Symlink(target) => {
                let target = OsString::from_vec(target.to_vec());
                std::os::unix::fs::symlink(target, &self.path)
                    .map_err(FsError::file("make the symbolic link", &self.path))?;
                self.leave();
            }
        }
        Ok(())
    }

    /// Goes back to the directory around what was made. Nothing follows the outermost node.
    fn leave(&mut self) {
        self.path.pop();
    }
}
