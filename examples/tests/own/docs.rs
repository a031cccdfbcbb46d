//! What docs/embedding.md shows of files is what is in them.

use std::fs;
use std::path::Path;

/// Files that it shows from their first line on, but for what they say of themselves.
const SHOWN: [&str; 8] = [
    "examples/tests/own/datastore.rs",
    "examples/src/pager.rs",
    "examples/tests/own/hook.rs",
    "examples/src/ageing.rs",
    "examples/tests/own/policy.rs",
    "examples/src/licensed.rs",
    "examples/tests/own/builder.rs",
    "examples/examples/own_farm.rs",
];

/// The blocks of Rust, without what readers do not see.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match &mut open {
            None if line.starts_with("```rust") => open = Some(String::new()),
            None => {}
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some(_) if line == "#" || line.starts_with("# ") => {}
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    blocks
}

fn without_its_head(file: &str) -> String {
    let lines = file
        .lines()
        .skip_while(|line| line.starts_with("//!") || line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn files_are_shown_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    let blocks = blocks(&read("docs/embedding.md"));
    for path in SHOWN {
        let head = format!("// {path}\n");
        let mut shown = blocks.iter().filter_map(|block| block.strip_prefix(&head));
        let shown = shown
            .next()
            .unwrap_or_else(|| panic!("{path} is not shown"));
        assert_eq!(shown, without_its_head(&read(path)), "{path}");
    }
    let named = blocks
        .iter()
        .filter(|block| block.starts_with("// examples/"));
    assert_eq!(named.count(), SHOWN.len(), "files that are not compared");
}
