//! Size and references of a source, found by trying: a store directory does not say what its items refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use grange_derivation::nar::{Digested, digest_path};
use grange_derivation::refs::Scanner;
use grange_derivation::{Derivation, Hash, HashAlgo, StorePath, paths};

use super::nar_stream::{message, write_file};
use super::{SourceError, SourceInfo};

/// Items of a store by the 20 bytes that their names begin with.
pub(super) type Candidates = BTreeMap<[u8; 20], StorePath>;

/// What a source's path may follow from.
struct Content {
    nar: Digested,
    /// SHA-256 of the bytes of a file that is not executable; texts and flat files are hashed so.
    flat: Option<[u8; 32]>,
}

/// Size and references of the source at `path`, which lies at `place`. `candidates` is asked only for a source that
/// refers to something.
pub(super) fn of_path(
    path: &StorePath,
    place: &Path,
    candidates: impl FnOnce() -> io::Result<Candidates>,
) -> Result<SourceInfo, SourceError> {
    let broken = |source| SourceError::Io {
        path: path.clone(),
        source,
    };
    let other = |error: &dyn std::error::Error| broken(io::Error::other(message(error)));
    let nar = digest_path(place).map_err(|error| other(&error))?;
    let metadata = fs::symlink_metadata(place).map_err(broken)?;
    let plain = metadata.is_file() && metadata.permissions().mode() & 0o100 == 0;
    let flat = if plain {
        Some(hash_of(&mut File::open(place).map_err(broken)?).map_err(broken)?)
    } else {
        None
    };
    let scan = |scanner: &mut Scanner| match flat {
        Some(_) => io::copy(&mut File::open(place)?, scanner).map(drop),
        None => grange_derivation::nar::pack(place, scanner)
            .map(drop)
            .map_err(|error| io::Error::other(message(&error))),
    };
    let text = || fs::read(place);
    identify(path, &Content { nar, flat }, text, scan, candidates)
}

/// The same of a file with these bytes.
pub(super) fn of_bytes(
    path: &StorePath,
    bytes: &[u8],
    executable: bool,
    candidates: impl FnOnce() -> Candidates,
) -> Result<SourceInfo, SourceError> {
    let broken = |source| SourceError::Io {
        path: path.clone(),
        source,
    };
    let mut digest = grange_derivation::nar::NarDigest::new();
    let mut nar = Vec::new();
    write_file(&mut nar, bytes, executable).map_err(broken)?;
    let digested = digest.update(&nar).and_then(|()| digest.finish());
    let nar = digested.map_err(|error| broken(io::Error::other(error)))?;
    let flat = (!executable)
        .then(|| hash_of(&mut &*bytes))
        .transpose()
        .map_err(broken)?;
    let scan = |scanner: &mut Scanner| {
        scanner.push(bytes);
        Ok(())
    };
    identify(
        path,
        &Content { nar, flat },
        || Ok(bytes.to_vec()),
        scan,
        || Ok(candidates()),
    )
}

fn identify(
    path: &StorePath,
    content: &Content,
    text: impl FnOnce() -> io::Result<Vec<u8>>,
    scan: impl FnOnce(&mut Scanner) -> io::Result<()>,
    candidates: impl FnOnce() -> io::Result<Candidates>,
) -> Result<SourceInfo, SourceError> {
    let broken = |source| SourceError::Io {
        path: path.clone(),
        source,
    };
    let info = |references| SourceInfo {
        nar_size: content.nar.size,
        references,
    };
    if is_flat_file(path, content) || follows(path, content, &[]) {
        return Ok(info(Vec::new()));
    }
    let references: BTreeSet<StorePath> = if let Some(name) = path.derivation_name() {
        // A derivation as a source: it says itself what it refers to.
        let text = text().map_err(broken)?;
        let parsed = Derivation::parse(path.store(), name, &text);
        parsed
            .map_err(|source| SourceError::Derivation {
                path: path.clone(),
                source: Box::new(source),
            })?
            .references()
    } else {
        let mut candidates = candidates().map_err(broken)?;
        candidates.remove(path.digest());
        let mut scanner = Scanner::new(candidates.keys().copied());
        scan(&mut scanner).map_err(broken)?;
        scanner
            .found()
            .iter()
            .filter_map(|digest| candidates.remove(digest))
            .collect()
    };
    let references: Vec<StorePath> = references.into_iter().collect();
    if follows(path, content, &references) {
        return Ok(info(references));
    }
    Err(SourceError::NotASource(path.clone()))
}

/// Whether the path is that of a text, or of an archive, with these references.
fn follows(path: &StorePath, content: &Content, references: &[StorePath]) -> bool {
    let (store, name) = (path.store(), path.name());
    let source = paths::source_path(store, name, references, false, &content.nar.sha256);
    let text = || paths::text_path(store, name, references, &content.flat?).ok();
    source.as_ref() == Ok(path) || text().as_ref() == Some(path)
}

/// Whether the path is that of a file which was added by the hash of its bytes, as Guix does with plain files.
fn is_flat_file(path: &StorePath, content: &Content) -> bool {
    let hash = content
        .flat
        .and_then(|bytes| Hash::new(HashAlgo::Sha256, &bytes).ok());
    let computed = hash
        .and_then(|hash| paths::fixed_output_path(path.store(), path.name(), false, &hash).ok());
    computed.as_ref() == Some(path)
}

fn hash_of(source: &mut impl Read) -> io::Result<[u8; 32]> {
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(sha2::Digest::finalize(hasher).into()),
            Ok(count) => sha2::Digest::update(&mut hasher, &buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
