//! `grange history`: what one coordinator knows of packages, another takes over.

use std::fs;

use crate::process::Coordinator;

const HELLO: &str = r#"{"package":"hello","system":"x86_64-linux","updated_at_ms":5,"duration_ms":{"samples":3,"p50":60000,"p90":60000,"max":60000}}"#;

#[test]
fn a_history_goes_from_one_coordinator_to_another() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("1"), directory.path().join("2"));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    let file = directory.path().join("history.jsonl");
    let file = file.to_str().unwrap();
    let coordinator = Coordinator::start(&first, &[]);

    fs::write(file, format!("{HELLO}\n{{\"package\":\"x\"}}\n")).unwrap();
    let ran = coordinator.grange(&["history", "import", file]).expect(1);
    assert!(ran.stderr.contains("line 2"), "{ran:?}");
    let exported = coordinator.grange(&["history", "export"]).expect(0).stdout;
    assert_eq!(exported, "");

    fs::write(file, format!("{HELLO}\n")).unwrap();
    let import = ["history", "import", file, "--json"];
    let ran = coordinator.grange(&import).expect(0);
    assert_eq!(ran.json()[0]["imported"], 1);
    fs::remove_file(file).unwrap();
    coordinator.grange(&["history", "export", file]).expect(0);
    let other = Coordinator::start(&second, &[]);
    other.grange(&["history", "import", file]).expect(0);
    let exported = other.grange(&["history", "export"]).expect(0).stdout;
    assert_eq!(exported.trim_end(), HELLO);
}
