//! What a build made: checked, made canonical, hashed, scanned.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use grange_derivation::nar::{self, FsError};
use grange_derivation::refs::Scanner;
use grange_derivation::{Derivation, FixedOutput, Hash, HashAlgo, Hasher, OutputName, StorePath};
use grange_interfaces::{BuildError, ItemInfo};
use grange_model::{FailureKind, NarHash, SetupProblem};

use crate::store::{NewItem, is_full};
use crate::tree::{self, NotCanonical};

/// An output that is complete and canonical, where the build made it.
#[derive(Debug)]
pub(crate) struct Finished {
    pub name: OutputName,
    pub item: NewItem,
}

/// What outputs are looked at with.
#[derive(Debug)]
pub(crate) struct Finisher<'a> {
    pub derivation: &'a Derivation,
    /// The derivation's own path.
    pub path: &'a StorePath,
    /// What outputs can refer to, besides each other.
    pub inputs: &'a [StorePath],
    /// Where they lie.
    pub outputs: PathBuf,
    /// Whose they must be, if not ours.
    pub owner: Option<u32>,
}

impl Finisher<'_> {
    /// All outputs. Blocks.
    pub(crate) fn finish(&self) -> Result<Vec<Finished>, BuildError> {
        // First whether all are there: that is the plainest thing to say.
        for (name, output) in &self.derivation.outputs {
            if fs::symlink_metadata(self.place(&output.path)).is_err() {
                let message = format!(
                    "the builder ended well, but made no output {name} at {}",
                    output.path
                );
                return Err(failed(
                    FailureKind::MissingOutput(name.to_string()),
                    message,
                ));
            }
        }
        let outputs = self.derivation.outputs.values().map(|output| &output.path);
        let candidates: BTreeMap<_, _> = self
            .inputs
            .iter()
            .chain(outputs)
            .map(|path| (*path.digest(), path))
            .collect();
        let finish = |(name, output): (&OutputName, &grange_derivation::Output)| {
            let item = self.finish_one(&output.path, output.fixed.as_ref(), &candidates)?;
            Ok(Finished {
                name: name.clone(),
                item,
            })
        };
        self.derivation.outputs.iter().map(finish).collect()
    }

    fn place(&self, path: &StorePath) -> PathBuf {
        self.outputs.join(path.base_name())
    }

    fn finish_one(
        &self,
        path: &StorePath,
        fixed: Option<&FixedOutput>,
        candidates: &BTreeMap<[u8; 20], &StorePath>,
    ) -> Result<NewItem, BuildError> {
        let at = self.place(path);
        self.check_top(path, &at, fixed)?;
        tree::canonicalise(&at, self.owner).map_err(|error| match error {
            NotCanonical::Content(what) => failed(FailureKind::BadOutput, what),
            NotCanonical::Io(error) => cannot("make an output canonical", &error),
        })?;
        let mut sink = Sink {
            scanner: Scanner::new(candidates.keys().copied()),
            sha256: hasher(HashAlgo::Sha256)?,
            other: None,
        };
        if let Some(fixed) =
            fixed.filter(|fixed| fixed.recursive && fixed.algo() != HashAlgo::Sha256)
        {
            sink.other = Some(hasher(fixed.algo())?);
        }
        let nar_size = nar::pack(&at, &mut sink).map_err(packing)?;
        let sha256 = sink.sha256.finish();
        if let Some(fixed) = fixed {
            let found = match (fixed.recursive, sink.other) {
                (false, _) => hash_file(&at, fixed.algo())?,
                (true, Some(other)) => other.finish(),
                (true, None) => sha256,
            };
            check_hash(path, fixed, &found)?;
        }
        // By the text of the path, which is how `StorePath`s are ordered.
        let mut references: Vec<_> = sink
            .scanner
            .found()
            .iter()
            .filter_map(|digest| candidates.get(digest))
            .map(|it| (*it).clone())
            .collect();
        references.sort_unstable();
        let nar_hash = NarHash(sha256.to_sha256().expect("it is of that algorithm"));
        let info = ItemInfo {
            path: path.clone(),
            nar_hash,
            nar_size,
            references,
            deriver: Some(self.path.clone()),
        };
        Ok(NewItem { info, at })
    }

    /// What both daemons refuse to look at any closer.
    fn check_top(
        &self,
        path: &StorePath,
        at: &Path,
        fixed: Option<&FixedOutput>,
    ) -> Result<(), BuildError> {
        let metadata =
            fs::symlink_metadata(at).map_err(|error| cannot("look at an output", &error))?;
        let mode = metadata.permissions().mode();
        if !metadata.is_symlink() && mode & 0o022 != 0 {
            let message = format!(
                "{path} can be written to by others than its owner (mode {:o})",
                mode & 0o7777
            );
            return Err(failed(FailureKind::BadOutput, message));
        }
        if fixed.is_some_and(|fixed| !fixed.recursive) && (!metadata.is_file() || mode & 0o100 != 0)
        {
            let message = format!(
                "{path} must be a file that is not executable: its hash is that of a file's bytes"
            );
            return Err(failed(FailureKind::BadOutput, message));
        }
        Ok(())
    }
}

/// Takes in a nar once, for all that is wanted of it.
struct Sink {
    scanner: Scanner,
    sha256: Hasher,
    other: Option<Hasher>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
        self.scanner.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hasher(algo: HashAlgo) -> Result<Hasher, BuildError> {
    algo.hasher().ok_or_else(|| BuildError::Setup {
        problem: SetupProblem::Unsupported,
        message: format!("{algo} hashes of fixed outputs are not computed here"),
    })
}

fn hash_file(file: &Path, algo: HashAlgo) -> Result<Hash, BuildError> {
    let mut hasher = hasher(algo)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut source = File::open(file).map_err(|error| cannot("read an output", &error))?;
    loop {
        match source
            .read(&mut buffer)
            .map_err(|error| cannot("read an output", &error))?
        {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn check_hash(path: &StorePath, fixed: &FixedOutput, found: &Hash) -> Result<(), BuildError> {
    if fixed.hash == *found {
        return Ok(());
    }
    let message = format!(
        "hash mismatch for {path}: expected {} ({}), got {} ({})",
        fixed.hash,
        fixed.hash.to_base32(),
        found,
        found.to_base32()
    );
    Err(failed(FailureKind::HashMismatch, message))
}

fn packing(error: FsError) -> BuildError {
    match error {
        FsError::File {
            action,
            path,
            source,
        } => cannot(&format!("{action} {}", path.display()), &source),
        error => failed(FailureKind::BadOutput, error.to_string()),
    }
}

/// The builder ran, but what came of it will not do.
pub(crate) fn failed(kind: FailureKind, message: String) -> BuildError {
    BuildError::Failed { kind, message }
}

/// The machine's fault, not the build's.
pub(crate) fn cannot(what: &str, error: &io::Error) -> BuildError {
    let problem = if is_full(error) {
        SetupProblem::DiskFull
    } else {
        SetupProblem::Other
    };
    BuildError::Setup {
        problem,
        message: format!("cannot {what}: {error}"),
    }
}
