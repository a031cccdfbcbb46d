//! What an emulator says of itself, kept: it takes as long to say it as a clone takes to come up.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::emulator::{Emulator, EmulatorError};
use crate::machine::CpuModel;

/// What an executable of ELF begins with.
const ELF: [u8; 4] = *b"\x7fELF";

/// An emulator's answers.
#[derive(Serialize, Deserialize)]
struct Kept {
    program: Program,
    version: String,
    models: Vec<String>,
}

/// Which file it was. Times alone do not say it: in stores of Guix and Nix, all files are of 1970, and the path changes.
#[derive(PartialEq, Serialize, Deserialize)]
struct Program {
    path: PathBuf,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Program {
    /// None for what cannot be told from another one, such as a script, which may start one emulator today and another tomorrow.
    fn of(path: &Path) -> Option<Self> {
        let path = fs::canonicalize(path).ok()?;
        let mut file = File::open(&path).ok()?;
        let mut begin = [0; ELF.len()];
        file.read_exact(&mut begin).ok()?;
        let metadata = file.metadata().ok()?;
        (begin == ELF).then(|| Self {
            path,
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

impl Emulator {
    /// The program of that name, as [`Emulator::find`], if it knows the processor, as [`Emulator::check_cpu`]. What it says is kept in the file `cache`
    /// and holds for as long as its executable is the same file.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub async fn find_for(
        name: &Path,
        search: &[PathBuf],
        model: &CpuModel,
        cache: &Path,
    ) -> Result<Self, EmulatorError> {
        let path = Self::locate(name, search)?;
        let program = Program::of(&path);
        let kept = fs::read(cache).ok();
        let kept: Option<Kept> = kept.and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(kept) = kept.filter(|kept| Some(&kept.program) == program.as_ref()) {
            let emulator = Self {
                program: path,
                version: kept.version,
            };
            emulator.choose(model, &kept.models)?;
            return Ok(emulator);
        }
        let (version, models) = tokio::try_join!(Self::version(&path), Self::models(&path))?;
        let emulator = Self {
            program: path,
            version: version.clone(),
        };
        emulator.choose(model, &models)?;
        if let Some(program) = program {
            let kept = Kept {
                program,
                version,
                models,
            };
            let text = serde_json::to_vec(&kept).expect("it is strings and numbers");
            // It only saves time.
            let _: std::io::Result<()> = fs::write(cache, text);
        }
        Ok(emulator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn find(cache: &Path, model: &str) -> Result<Emulator, EmulatorError> {
        let model = model.parse().unwrap();
        Emulator::find_for(Path::new("/bin/sh"), &[], &model, cache).await
    }

    #[tokio::test]
    async fn an_emulator_that_is_the_same_is_not_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("cache");
        let mut kept = Kept {
            program: Program::of(Path::new("/bin/sh")).unwrap(),
            version: "9.9".into(),
            models: vec!["Westmere".into()],
        };
        fs::write(&cache, serde_json::to_vec(&kept).unwrap()).unwrap();
        // It is no emulator, and would say so.
        let found = find(&cache, "Westmere,-aes").await.unwrap();
        assert_eq!(found.version, "9.9");
        let error = find(&cache, "Haswell").await.unwrap_err();
        assert!(matches!(error, EmulatorError::Cpu { .. }), "{error}");
        kept.program.inode += 1;
        fs::write(&cache, serde_json::to_vec(&kept).unwrap()).unwrap();
        let error = find(&cache, "Westmere").await.unwrap_err();
        assert!(matches!(error, EmulatorError::Other { .. }), "{error}");
        fs::write(&cache, "garbage").unwrap();
        let error = find(&cache, "Westmere").await.unwrap_err();
        assert!(matches!(error, EmulatorError::Other { .. }), "{error}");
    }

    #[test]
    fn a_script_may_be_another_next_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "#!/bin/sh\nexec qemu-system-x86_64 \"$@\"\n").unwrap();
        assert!(Program::of(file.path()).is_none());
    }
}
