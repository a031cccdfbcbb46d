use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use futures::TryStreamExt;
use grange_derivation::nar::{NarDigest, digest_path};
use grange_derivation::{Builder, Hash, StoreDir, StorePath, paths};
use tempfile::TempDir;

use crate::client::{ClosureSource, DirectorySource, MemorySource, SourceError};

struct Store {
    directory: TempDir,
    store: StoreDir,
}

impl Store {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            store: StoreDir::guix(),
        }
    }

    fn put(&self, path: &StorePath, text: &[u8]) {
        fs::write(self.directory.path().join(path.base_name()), text).unwrap();
    }

    fn text(&self, name: &str, references: &[StorePath], text: &str) -> StorePath {
        let hash = Hash::sha256(text.as_bytes()).to_sha256().unwrap();
        let path = paths::text_path(&self.store, name, references, &hash).unwrap();
        self.put(&path, text.as_bytes());
        path
    }

    fn source(&self) -> DirectorySource {
        DirectorySource::new(self.store.clone(), self.directory.path())
    }
}

async fn references(
    source: &dyn ClosureSource,
    path: &StorePath,
) -> Result<Vec<StorePath>, SourceError> {
    let info = source.source_info(path).await?;
    // Whatever is said must agree with what is sent.
    let mut digest = NarDigest::new();
    let mut nar = source.nar(path).await?;
    while let Some(piece) = nar.try_next().await.unwrap() {
        digest.update(&piece).unwrap();
    }
    assert_eq!(digest.finish().unwrap().size, info.nar_size);
    Ok(info.references)
}

#[tokio::test]
async fn a_text_says_what_it_refers_to() {
    let store = Store::new();
    let plain = store.text("plain", &[], "nothing in particular");
    let other = store.text("other", &[], "something else");
    let user = store.text(
        "user",
        std::slice::from_ref(&plain),
        &format!("see {plain}/x, not others"),
    );
    // Guix adds builders without saying what they refer to: that is then no reference either.
    let careless = store.text("careless", &[], &format!("see {plain}, not others"));
    let source = store.source();
    assert_eq!(references(&source, &other).await.unwrap(), []);
    assert_eq!(references(&source, &user).await.unwrap(), [plain]);
    assert_eq!(references(&source, &careless).await.unwrap(), []);
}

#[tokio::test]
async fn a_derivation_can_be_a_source() {
    let store = Store::new();
    let plain = store.text("plain", &[], "nothing in particular");
    let derivation =
        Builder::new(&store.store, "x", "x86_64-linux", "/bin/sh").source(plain.clone());
    let derivation = derivation.instantiate().unwrap();
    store.put(&derivation.path, &derivation.text);
    assert_eq!(
        references(&store.source(), &derivation.path).await.unwrap(),
        std::slice::from_ref(&plain)
    );
    let mut memory = MemorySource::new();
    memory.add(&derivation);
    assert_eq!(
        references(&memory, &derivation.path).await.unwrap(),
        [plain]
    );
}

#[tokio::test]
async fn archives_and_flat_files_are_sources() {
    let store = Store::new();
    let place = store.directory.path().join("tree");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("run"), "#!/bin/sh").unwrap();
    fs::set_permissions(place.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    let digest = digest_path(&place).unwrap();
    let tree = paths::source_path(&store.store, "tree", [], false, &digest.sha256).unwrap();
    let mut memory = MemorySource::new();
    memory.add_path(tree.clone(), &place);
    assert_eq!(references(&memory, &tree).await.unwrap(), []);

    let flat =
        paths::fixed_output_path(&store.store, "flat", false, &Hash::sha256(b"tarball")).unwrap();
    store.put(&flat, b"tarball");
    assert_eq!(references(&store.source(), &flat).await.unwrap(), []);
    memory.add_file(flat.clone(), b"tarball".as_slice(), false);
    assert_eq!(references(&memory, &flat).await.unwrap(), []);
    // The same bytes as a program are something else.
    memory.add_file(flat.clone(), b"tarball".as_slice(), true);
    assert!(
        matches!(references(&memory, &flat).await, Err(SourceError::NotASource(path)) if path == flat)
    );
}

#[tokio::test]
async fn what_was_changed_or_is_not_there_is_told() {
    let store = Store::new();
    let path = store.text("plain", &[], "nothing in particular");
    store.put(&path, b"something else");
    assert!(matches!(
        references(&store.source(), &path).await,
        Err(SourceError::NotASource(_))
    ));
    fs::remove_file(store.directory.path().join(path.base_name())).unwrap();
    let error = references(&store.source(), &path).await.unwrap_err();
    let place = store.directory.path().display();
    assert_eq!(
        error.to_string(),
        format!("`{path}` is not in `{place}`, which stands for `/gnu/store`")
    );
    assert!(store.source().derivation_text(&path).await.is_err());
}
