//! Files with keys.
//!
//! The formats are those of the stock tools, so that their keys are ours and ours are theirs: an S-expression for
//! Guix (`/etc/guix/signing-key.sec`), `NAME:BASE64` for Nix. A secret key's file is readable by its owner alone; its
//! public key lies beside it, under the same name with `.pub`.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use grange_fail_points::{Point, reach};
use grange_signatures::{SecretText, guix, nix};

use crate::failure;

/// A secret key of either kind.
#[derive(Debug)]
pub enum SecretKey {
    /// Guix's.
    Guix(guix::SecretKey),
    /// Nix's.
    Nix(nix::SecretKey),
}

impl SecretKey {
    /// A new one for Guix.
    #[must_use]
    pub fn generate_guix() -> Self {
        Self::Guix(guix::SecretKey::generate(&rand::random()))
    }

    /// A new one for Nix; `name` stands in each signature, usually the cache's host and a number.
    ///
    /// # Errors
    ///
    /// The name cannot be one.
    pub fn generate_nix(name: &str) -> anyhow::Result<Self> {
        let name = nix::KeyName::new(name).map_err(|error| failure::usage(error.to_string()))?;
        Ok(Self::Nix(nix::SecretKey::generate(name, &rand::random())))
    }

    /// Reads the file of a secret key.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds no secret key.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file)
            .map_err(|error| failure::config(format!("the key {}: {error}", file.display())))?;
        let wrong = |error: &dyn std::fmt::Display| {
            failure::config(format!("the key {}: {error}", file.display()))
        };
        let is_guix = text.trim_ascii_start().first() == Some(&b'(');
        if is_guix {
            let key = guix::SecretKey::parse(&text).map_err(|error| wrong(&error))?;
            return Ok(Self::Guix(key));
        }
        let text = std::str::from_utf8(&text).map_err(|error| wrong(&error))?;
        let key = nix::SecretKey::parse(text.trim()).map_err(|error| wrong(&error))?;
        Ok(Self::Nix(key))
    }

    /// `guix` or `nix`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Guix(_) => "guix",
            Self::Nix(_) => "nix",
        }
    }

    /// What clients are given: a file for `guix archive --authorize`, a line for Nix's `trusted-public-keys`.
    #[must_use]
    pub fn public(&self) -> String {
        match self {
            Self::Guix(key) => String::from_utf8_lossy(&key.public().to_file()).into_owned(),
            Self::Nix(key) => key.public().to_string(),
        }
    }

    fn secret(&self) -> SecretText {
        match self {
            Self::Guix(key) => key.to_file(),
            Self::Nix(key) => key.to_file(),
        }
    }

    /// Writes it and its public key. A file that is there is never overwritten.
    ///
    /// # Errors
    ///
    /// There is a file already, or it cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        create(file, 0o600, self.secret().expose())?;
        reach(Point::KeySecretWritten);
        create(&public_file(file), 0o644, self.public().as_bytes())
    }
}

/// The key in a file, which is made if it is not there.
///
/// # Errors
///
/// It cannot be read or made.
pub fn read_or_make(
    file: &Path,
    make: impl FnOnce() -> anyhow::Result<SecretKey>,
) -> anyhow::Result<SecretKey> {
    let public = public_file(file);
    if !file.exists() {
        crate::coordinator::make_parent(file)?;
        let key = make()?;
        key.write(file)?;
        tracing::info!(file = %public.display(), "made a key; this is its public part");
    }
    let key = SecretKey::read(file)?;
    // If that cannot be done, the key is as good.
    if let Err(error) = finish_replacing(file).and_then(|()| finish_making(file, &key)) {
        tracing::warn!(file = %public.display(), error = %failure::one_line(&error), "there is no public key");
    }
    Ok(key)
}

/// Does what is left to do if whoever made a key was killed meanwhile.
fn finish_making(file: &Path, key: &SecretKey) -> anyhow::Result<()> {
    let public = public_file(file);
    for file in [file, &public] {
        // What else is called so is somebody else's.
        let new = new_name(file);
        if is_same(&new, file) {
            remove(&new).with_context(|| format!("cannot delete {}", new.display()))?;
        }
    }
    if public.exists() {
        return Ok(());
    }
    create(&public, 0o644, key.public().as_bytes())
}

/// Does what is left to do if whoever put a next key in the place of another was killed between the secret one and the public one.
fn finish_replacing(file: &Path) -> anyhow::Result<()> {
    let next = next_file(file);
    let public = public_file(&next);
    if next.exists() || !public.exists() {
        return Ok(());
    }
    replace(&public, &public_file(file))
}

/// Where the public key of a secret key lies.
#[must_use]
pub fn public_file(secret: &Path) -> PathBuf {
    secret.with_extension("pub")
}

/// Where the key lies that comes after this one, while keys are being rotated.
#[must_use]
pub fn next_file(secret: &Path) -> PathBuf {
    beside(secret, "next")
}

/// Where the key lies that came before this one.
#[must_use]
pub fn former_file(secret: &Path) -> PathBuf {
    beside(secret, "old")
}

/// `keys/nix.sec` with `next`: `keys/nix.next.sec`.
fn beside(secret: &Path, what: &str) -> PathBuf {
    let mut name = secret.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(what);
    if let Some(extension) = secret.extension() {
        name.push(".");
        name.push(extension);
    }
    secret.with_file_name(name)
}

/// Makes the key that comes after the one in `file`, of the same kind, in [`next_file`]. What broke off is finished by
/// doing it again.
///
/// # Errors
///
/// There is no key, or a next one already.
pub fn make_next(file: &Path) -> anyhow::Result<SecretKey> {
    let place = next_file(file);
    finish_replacing(file)?;
    if place.exists() && !public_file(&place).exists() {
        let key = SecretKey::read(&place)?;
        finish_making(&place, &key)?;
        return Ok(key);
    }
    let next = match SecretKey::read(file)? {
        SecretKey::Guix(_) => SecretKey::generate_guix(),
        SecretKey::Nix(key) => SecretKey::generate_nix(&next_name(key.name().as_str()))?,
    };
    next.write(&place)?;
    Ok(next)
}

/// Puts the next key in the place of the one in `file`, which is kept in [`former_file`]. At any moment there is a key
/// in `file`. What broke off is finished by doing it again.
///
/// # Errors
///
/// There is no next key, or a former one still, which is the operator's to delete.
pub fn finish_rotation(file: &Path) -> anyhow::Result<SecretKey> {
    let (next, former) = (next_file(file), former_file(file));
    // The secret goes first: when it is in its place, only its public key is left to be put beside it.
    if next.exists() || !public_file(&next).exists() {
        let key = SecretKey::read(&next)?;
        finish_making(&next, &key)?;
        keep(file, &former)?;
        keep(&public_file(file), &public_file(&former))?;
        reach(Point::KeyKept);
        replace(&next, file)?;
        replace(&public_file(&next), &public_file(file))?;
        return Ok(key);
    }
    finish_replacing(file)?;
    SecretKey::read(file)
}

/// Gives a file a second name.
fn keep(file: &Path, to: &Path) -> anyhow::Result<()> {
    match std::fs::hard_link(file, to) {
        // On the disk, too: otherwise a power cut might leave the next key alone.
        Err(_) if is_same(file, to) => sync_directory(to),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(failure::usage(format!(
            "the key before this one is still in {}: delete it, or move it away",
            to.display()
        ))),
        linked => linked
            .with_context(|| format!("cannot keep {}", file.display()))
            .and_then(|()| sync_directory(to)),
    }
}

fn sync_directory(file: &Path) -> anyhow::Result<()> {
    File::open(directory_of(file))
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("cannot sync the directory of {}", file.display()))
}

/// Puts a file in the place of another, durably.
fn replace(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::rename(from, to)
        .inspect(|()| reach(Point::KeyReplaced))
        .and_then(|()| File::open(directory_of(to))?.sync_all())
        .with_context(|| format!("cannot replace {}", to.display()))
}

/// Whether both names are of one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let number = |path: &Path| std::fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    number(one).is_some_and(|it| Some(it) == number(other))
}

/// `cache.example-1`: `cache.example-2`.
fn next_name(name: &str) -> String {
    let (stem, number) = name.rsplit_once('-').unwrap_or((name, ""));
    match number.parse::<u32>() {
        Ok(number) => format!("{stem}-{}", number.saturating_add(1)),
        Err(_) => format!("{name}-2"),
    }
}

/// Makes a file of which there is always all or nothing. Whoever is killed here leaves `PATH.new`, alone or as a second name of
/// the file: [`finish_making`] and the next one that makes it take it away.
fn create(path: &Path, mode: u32, text: &[u8]) -> anyhow::Result<()> {
    let failed =
        |error| anyhow::Error::new(error).context(format!("cannot write {}", path.display()));
    let new = new_name(path);
    let write = || {
        // Not written over: of somebody who was killed before he took this name away it is another one of a key.
        remove(&new)?;
        let mut options = File::options();
        options.write(true).create_new(true).mode(mode);
        let mut file = options.open(&new)?;
        reach(Point::KeyMade);
        file.write_all(text)?;
        file.sync_all()
    };
    write().map_err(failed)?;
    let linked = std::fs::hard_link(&new, path);
    reach(Point::KeyLinked);
    let removed = remove(&new);
    reach(Point::KeyUnlinked);
    linked.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => failure::usage(format!(
            "there is a file {} already, and keys are not overwritten",
            path.display()
        )),
        _ => failed(error),
    })?;
    removed
        .and_then(|()| File::open(directory_of(path))?.sync_all())
        .map_err(failed)
}

/// Under which name a file is written.
fn new_name(path: &Path) -> PathBuf {
    let mut new = path.to_owned().into_os_string();
    new.push(".new");
    new.into()
}

/// Deletes a file if it is there.
fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn directory_of(file: &Path) -> &Path {
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty());
    directory.unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let keys = [
            SecretKey::generate_guix(),
            SecretKey::generate_nix("cache.example-1").unwrap(),
        ];
        for (number, key) in keys.iter().enumerate() {
            let file = directory.path().join(format!("{number}.sec"));
            key.write(&file).unwrap();
            let again = SecretKey::read(&file).unwrap();
            assert_eq!((again.kind(), again.public()), (key.kind(), key.public()));
            let public = std::fs::read_to_string(public_file(&file)).unwrap();
            assert_eq!(public, key.public());
            assert!(key.write(&file).is_err());
            assert!(!directory.path().join(format!("{number}.sec.new")).exists());
        }
        let file = directory.path().join("none");
        std::fs::write(&file, "cache.example-1:AAAA").unwrap();
        assert!(SecretKey::read(&file).is_err());
    }

    #[test]
    fn a_key_that_was_half_made_is_made_after_all() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("guix.sec");
        // Of who was killed before the key was written.
        std::fs::write(directory.path().join("guix.sec.new"), "(private").unwrap();
        let made = read_or_make(&file, || Ok(SecretKey::generate_guix())).unwrap();
        // Of who was killed between the two files.
        std::fs::remove_file(public_file(&file)).unwrap();
        let read = read_or_make(&file, || panic!("there is one")).unwrap();
        assert_eq!(read.public(), made.public());
        let public = std::fs::read_to_string(public_file(&file)).unwrap();
        assert_eq!(public, made.public());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_key_with_the_name_under_which_it_was_written_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("guix.sec");
        let key = SecretKey::generate_guix();
        key.write(&file).unwrap();
        // Of who was killed between giving it its name and taking the other one away.
        let other = directory.path().join("guix.sec.new");
        std::fs::hard_link(&file, &other).unwrap();
        assert!(SecretKey::generate_guix().write(&file).is_err());
        let read = |file| SecretKey::read(file).unwrap().public();
        assert_eq!(read(&file), key.public());
        std::fs::hard_link(&file, &other).unwrap();
        read_or_make(&file, || panic!("there is one")).unwrap();
        assert!(!other.exists());
    }

    #[test]
    fn a_next_key_without_its_public_part_is_finished() {
        for again in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("guix.sec");
            SecretKey::generate_guix().write(&file).unwrap();
            let next = make_next(&file).unwrap();
            std::fs::remove_file(public_file(&next_file(&file))).unwrap();
            if again {
                assert_eq!(make_next(&file).unwrap().public(), next.public());
            }
            finish_rotation(&file).unwrap();
            let public = std::fs::read_to_string(public_file(&file)).unwrap();
            assert_eq!(public, next.public());
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
        }
    }

    #[test]
    fn a_rotation_goes_in_two_steps() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nix.sec");
        assert!(make_next(&file).is_err());
        let first = SecretKey::generate_nix("cache.example-9").unwrap();
        first.write(&file).unwrap();
        assert!(finish_rotation(&file).is_err());
        let next = make_next(&file).unwrap();
        assert!(next.public().starts_with("cache.example-10:"));
        assert!(make_next(&file).is_err());
        let public = |file: &Path| SecretKey::read(file).unwrap().public();
        assert_eq!(public(&file), first.public());
        // As if an earlier try had broken off.
        std::fs::hard_link(&file, former_file(&file)).unwrap();
        finish_rotation(&file).unwrap();
        // As if it had broken off before the last step.
        std::fs::rename(public_file(&file), public_file(&next_file(&file))).unwrap();
        finish_rotation(&file).unwrap();
        assert_eq!(public(&file), next.public());
        assert_eq!(public(&former_file(&file)), first.public());
        let text = std::fs::read_to_string(public_file(&file)).unwrap();
        assert_eq!(text, next.public());
        assert!(!next_file(&file).exists());
        // The former one is never overwritten.
        make_next(&file).unwrap();
        assert!(finish_rotation(&file).is_err());
        assert_eq!(public(&file), next.public());
    }
}
