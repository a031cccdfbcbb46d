//! The directory of one attempt.

use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use grange_derivation::Hash;
use grange_fail_points::{Point, reach};
use sha2::{Digest, Sha256};

use super::result::VERSION;
use super::{SpooledOutput, SpooledResult};

const RESULT: &str = "result.json";

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// The directory of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Spool(PathBuf);

impl Spool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes the directory; whether it was there before.
    pub(crate) fn create(&self) -> io::Result<bool> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Ok(()) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes the result: in its place there is always all of it or nothing. With `durable`, it and
    /// what it speaks of are on the disk when this returns, the files before the result: otherwise a
    /// power cut could leave a result of which the files are empty.
    pub(crate) fn write_result(&self, result: &SpooledResult, durable: bool) -> io::Result<()> {
        if durable {
            self.sync_files(result)?;
            reach(Point::FilesSynced);
        }
        let text = serde_json::to_vec(result).map_err(io::Error::from)?;
        let new = self.file("result.json.new");
        std::fs::write(&new, text)?;
        reach(Point::ResultFilled);
        if durable {
            File::open(&new)?.sync_all()?;
        }
        reach(Point::ResultWritten);
        std::fs::rename(&new, self.file(RESULT))?;
        reach(Point::ResultRenamed);
        if durable {
            self.sync_directories()?;
            reach(Point::ResultSynced);
        }
        Ok(())
    }

    /// Makes durable what was written without being so.
    pub(crate) fn sync(&self, result: &SpooledResult) -> io::Result<()> {
        self.sync_files(result)?;
        reach(Point::WaitingFilesSynced);
        File::open(self.file(RESULT))?.sync_all()?;
        reach(Point::WaitingResultSynced);
        self.sync_directories()
            .inspect(|()| reach(Point::WaitingNamesSynced))
    }

    fn sync_files(&self, result: &SpooledResult) -> io::Result<()> {
        for output in result.outputs() {
            File::open(self.file(&output.file))?.sync_all()?;
        }
        File::open(self.log())?.sync_all()
    }

    fn sync_directories(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()?;
        self.0
            .parent()
            .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }

    /// The result, if there is one that can be read.
    pub(crate) fn read_result(&self) -> io::Result<Option<SpooledResult>> {
        let text = match std::fs::read(self.file(RESULT)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let result: SpooledResult = serde_json::from_slice(&text)?;
        if result.version != VERSION {
            let message = format!("the result has version {}, not {VERSION}", result.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let own = |name: &str| Path::new(name).file_name() == Some(name.as_ref());
        if let Some(output) = result.outputs().iter().find(|output| !own(&output.file)) {
            let message = format!("`{}` is no file of the attempt", output.file);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Some(result))
    }

    /// Whether all files are those that the result speaks of. After a power cut they may be empty
    /// or gone.
    pub(crate) fn verify(&self, result: &SpooledResult) -> io::Result<()> {
        let damaged = |message: String| io::Error::new(io::ErrorKind::InvalidData, message);
        for output in result.outputs() {
            if self.hash(output)? != output.file_hash {
                return Err(damaged(format!("{} has another hash", output.file)));
            }
        }
        let size = self.log().metadata()?.len();
        if size < result.log_size {
            return Err(damaged(format!(
                "the log has {size} bytes, not {}",
                result.log_size
            )));
        }
        Ok(())
    }

    fn hash(&self, output: &SpooledOutput) -> io::Result<String> {
        let mut file = File::open(self.file(&output.file))?;
        let mut sha256 = Sha256::new();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Hash::from_sha256(sha256.finalize().into()).to_base16()),
                read => sha256.update(&piece[..read]),
            }
        }
    }

    /// Deletes it with all that is in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        reach(Point::SpoolDeleting);
        let removed = std::fs::remove_dir_all(&self.0);
        reach(Point::SpoolDeleted);
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
