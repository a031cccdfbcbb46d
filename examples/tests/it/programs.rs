//! Every program in `examples/` ends by itself, and says what its first lines say that it says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use grange_derivation::StoreDir;
use grange_sandbox::{NotSupported, SandboxBuilder, SandboxConfig, SandboxStore, StoreConfig};

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs, each with the lines that it says, in which `…` may be anything.
fn programs() -> BTreeMap<String, Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder).expect("the folder is there");
    let said = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let text = fs::read_to_string(&path).ok()?;
        let lines = text.lines().skip_while(|line| *line != "//! ```text");
        let lines = lines.skip(1).take_while(|line| *line != "//! ```");
        let lines = lines.map(|line| line.trim_start_matches("//! ").to_owned());
        Some((name, lines.collect()))
    };
    let files = files.map(|file| file.expect("the folder is there").path());
    files.filter_map(said).collect()
}

/// Whether a line is as it should be.
fn fits(line: &str, expected: &str) -> bool {
    let Some((head, rest)) = expected.split_once('…') else {
        return line == expected;
    };
    let Some(mut left) = line.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<_> = rest.split('…').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, behind)) => left = behind,
            None => return false,
        }
    }
    left.ends_with(tail)
}

/// Where `cargo test` has built the programs, beside this one.
fn place() -> PathBuf {
    let this = std::env::current_exe().expect("this program has a place");
    let place = this.ancestors().nth(2);
    place
        .expect("it lies in target/PROFILE/deps")
        .join("examples")
}

async fn supported() -> Result<(), NotSupported> {
    let directory = tempfile::tempdir().expect("there is a temporary directory");
    let config = StoreConfig::new(directory.path().join("store"), StoreDir::guix());
    let store = SandboxStore::open(config).expect("the store opens");
    let builder = SandboxBuilder::new(Arc::new(store), SandboxConfig::default());
    builder.await.map(drop)
}

pub(crate) async fn every_program_says_what_its_head_says() {
    if let Err(error) = supported().await {
        eprintln!("skipped: {error}");
        return;
    }
    let place = place();
    for (name, expected) in programs() {
        assert!(!expected.is_empty(), "{name} does not say what it says");
        let program = place.join(&name);
        assert!(
            program.exists(),
            "{} is not built: a test that is asked for by name needs --examples beside --test",
            program.display()
        );
        let mut program = tokio::process::Command::new(program);
        let output = program.kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.unwrap_or_else(|_| panic!("{name} does not end"));
        let output = output.expect("it can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} failed: {errors}");
        let said = String::from_utf8_lossy(&output.stdout);
        let said: Vec<_> = said.lines().collect();
        let right = said.len() == expected.len();
        let right = right && said.iter().zip(&expected).all(|(line, it)| fits(line, it));
        assert!(right, "{name} said {said:?}, not {expected:?}");
    }
}
