//! From files to store paths.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use grange_derivation::{StoreDir, StorePath};

/// How much of a derivation tells which store it is for.
const HEAD: u64 = 4096;

/// A derivation that was named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its path.
    pub(super) path: StorePath,
    /// The directory in which it and what it needs lie.
    pub(super) directory: PathBuf,
}

/// What a file named on the command line stands for. A derivation that lies elsewhere than in its store says itself
/// which store it is for. A store path need not be there: the coordinator may have it.
pub(super) fn derivation(file: &Path) -> anyhow::Result<Named> {
    let file =
        std::path::absolute(file).with_context(|| format!("`{}` is no path", file.display()))?;
    let text = head(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let store = text
        .as_deref()
        .and_then(store_of)
        .map_or_else(|| store_around(&file), Ok)?;
    let base = file.file_name().unwrap_or_default();
    let path = StorePath::from_base_name(&store, base.as_encoded_bytes()).with_context(|| {
        format!(
            "{} is not called HASH-NAME.drv, as derivations are",
            file.display()
        )
    })?;
    anyhow::ensure!(
        path.is_derivation(),
        "{} does not end in `.drv`",
        file.display()
    );
    let directory = file
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_owned);
    anyhow::ensure!(
        text.is_some() || directory == Path::new(store.as_str()) && is_store_like(&directory),
        "there is no file {}",
        file.display()
    );
    Ok(Named { path, directory })
}

/// The store that a derivation is for: where its first output belongs. None if the text does not say.
pub(super) fn store_of(text: &[u8]) -> Option<StoreDir> {
    // A derivation begins with its first output: `Derive([("out","/gnu/store/HASH-NAME",…`.
    let rest = text.strip_prefix(b"Derive([(\"")?;
    let comma = rest.windows(3).position(|window| window == b"\",\"")?;
    let path = &rest[comma + 3..];
    let end = path.iter().position(|byte| *byte == b'"')?;
    StorePath::parse_any(&path[..end])
        .ok()
        .map(|path| path.store().clone())
}

/// The store that the file lies in, if it is one.
pub(super) fn store_around(file: &Path) -> anyhow::Result<StoreDir> {
    let directory = std::path::absolute(file)?
        .parent()
        .map(|parent| parent.display().to_string());
    StoreDir::new(directory.as_deref().unwrap_or("/"))
        .with_context(|| format!("{} does not lie in a store", file.display()))
}

/// Whether nobody would keep anything but store items there.
fn is_store_like(directory: &Path) -> bool {
    directory.file_name().is_some_and(|name| name == "store")
}

/// How a file begins; none if there is none.
fn head(file: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    open.take(HEAD).read_to_end(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "2nfg943asrl9dv64zrr1a4kpb25mfafd-hello-2.12.2.drv";
    const TEXT: &str =
        r#"Derive([("out","/gnu/store/6fbh8phmp3izay6c0dpggpxhcjn4xlm5-hello-2.12.2","","")],"#;

    #[test]
    fn a_derivation_in_another_place_says_where_it_belongs() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(NAME);
        std::fs::write(&file, TEXT).unwrap();
        let named = derivation(&file).unwrap();
        assert_eq!(named.path.to_string(), format!("/gnu/store/{NAME}"));
        assert_eq!(named.directory, directory.path());
    }

    #[test]
    fn a_store_path_need_not_be_there_but_other_files_must() {
        let named = derivation(Path::new("/no/such/store").join(NAME).as_path()).unwrap();
        assert_eq!(named.path.store().as_str(), "/no/such/store");
        for wrong in [
            format!("/no/such/place/{NAME}"),
            "hello.drv".into(),
            "/no/such/store/x".into(),
            "/".into(),
        ] {
            assert!(derivation(Path::new(&wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn garbage_says_nothing() {
        for text in [
            "",
            "Derive([(\"",
            "Derive([(\"out\",\"",
            "Derive([(\"out\",\"/x\",",
            "Derive([(\"out\",\"no",
        ] {
            assert_eq!(store_of(text.as_bytes()), None, "{text}");
        }
    }
}
