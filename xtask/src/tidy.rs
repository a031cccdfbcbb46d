//! What neither formatter nor linter sees.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run;

/// A file that is longer wants to be two.
const MAX_LINES: usize = 600;

/// Looks at every Rust file and every member of the workspace.
pub(crate) fn check() -> Result<()> {
    let root = run::root();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let members = manifest
        .lines()
        .skip_while(|line| !line.starts_with("members"));
    let members: Vec<&str> = members
        .skip(1)
        .take_while(|line| !line.starts_with(']'))
        .collect();
    if let Some(member) = members.iter().find(|line| !line.contains('#')) {
        bail!("Cargo.toml: a comment says what each member is:{member}");
    }
    let mut problems = Vec::new();
    for member in members.iter().filter_map(|line| line.split('"').nth(1)) {
        for file in rust_files(&root.join(member))? {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            problems.extend(look_at(&file, &text));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!("{}", problems.join("\n"));
}

fn look_at(file: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut say = |what: String| problems.push(format!("{}: {what}", file.display()));
    let lines = text.lines().count();
    if lines > MAX_LINES {
        say(format!("{lines} lines: a file that long wants to be two"));
    }
    let own = file.ends_with("xtask/src/tidy.rs");
    let test = file.components().any(|part| part.as_os_str() == "tests");
    let unwanted = [
        (
            "#[ignore",
            "a test that cannot run here says why and is skipped",
        ),
        (
            "#[allow(",
            "#[expect(…, reason = \"…\")] notices when it is not needed any more",
        ),
        ("todo!(", "what is not done is not there"),
        ("```ignore", "an example that is not compiled rots"),
    ];
    for (text_found, why) in unwanted {
        // A macro of tests cannot know what each of its uses needs.
        let excused = own || test && text_found == "#[allow(";
        if !excused && text.contains(text_found) {
            say(format!("{text_found}: {why}"));
        }
    }
    if !test && !text.starts_with("//!") && !text.starts_with("#!") {
        say("says what it is in a `//!` comment at its top".to_owned());
    }
    problems
}

fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("testdata") {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
