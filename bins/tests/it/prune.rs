//! `grange artifacts`: what is pruned is gone, and is built again.

use std::fs;

use crate::farm::{Store, can_build, start_agent};
use crate::process::Coordinator;

#[test]
fn what_is_pruned_is_gone_and_is_built_again() {
    if !can_build() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(directory.path(), &[]);
    let agent = start_agent(&coordinator, directory.path());
    let drvs = directory.path().join("drvs");
    fs::create_dir(&drvs).unwrap();
    let store = Store(drvs);
    let (low, _) = store.shell("low", "echo low > $out", &[]);
    let script = "read line < $input0; echo $input0 $line > $out";
    let (top, top_file) = store.shell("top", script, &[&low]);
    let (other, other_file) = store.shell("other", "echo other > $out", &[]);
    let path = |of: &grange_derivation::Instantiated| of.output("out").unwrap().to_string();
    let (low, top, other) = (path(&low), path(&top), path(&other));
    coordinator
        .grange(&[
            "build",
            "--wait",
            "--tag",
            "for=test",
            &top_file,
            &other_file,
        ])
        .expect(0);
    let held = |coordinator: &Coordinator| {
        let shown = coordinator
            .grange(&["artifacts", "show", "--json"])
            .expect(0);
        shown.json().remove(0)
    };
    assert_eq!(held(&coordinator)["outputs"]["count"], 3);
    let shown = coordinator.grange(&["artifacts", "show"]).expect(0).stdout;
    assert!(
        shown.contains("outputs") && shown.contains("unreferenced"),
        "{shown}"
    );

    // Nothing says what shall go; a root that is not there; a size that is none.
    coordinator.grange(&["artifacts", "prune"]).expect(64);
    coordinator
        .grange(&["artifacts", "prune", "--max-size", "much"])
        .expect(64);
    let missing = "/gnu/store/6fbh8phmp3izay6c0dpggpxhcjn4xlm5-hello-2.12.2";
    let ran = coordinator
        .grange(&["artifacts", "prune", "--root", missing])
        .expect(1);
    assert!(ran.stderr.contains(missing), "{ran:?}");
    let ran = coordinator
        .grange(&["artifacts", "prune", "--older-than", "1d"])
        .expect(0);
    assert!(ran.stdout.starts_with("0 outputs would go"), "{ran:?}");

    let arguments = ["artifacts", "prune", "--tag", "for=test", "--root", &other];
    let dry = coordinator.grange(&arguments).expect(0).stdout;
    let place = |path: &str| {
        dry.find(path)
            .unwrap_or_else(|| panic!("no {path} in {dry}"))
    };
    assert!(place(&top) < place(&low) && !dry.contains(&other), "{dry}");
    assert!(dry.contains("2 outputs would go"), "{dry}");
    assert_eq!(held(&coordinator)["outputs"]["count"], 3);

    let mut arguments = arguments.to_vec();
    arguments.extend(["--delete", "--json"]);
    let pruned = coordinator.grange(&arguments).expect(0);
    assert!(pruned.stderr.contains("are free again"), "{pruned:?}");
    assert_eq!(pruned.json()[0]["goes"]["count"], 2);
    let left = held(&coordinator);
    assert_eq!(
        (&left["outputs"]["count"], &left["unreferenced"]["count"]),
        (&1.into(), &0.into())
    );
    for gone in [&low, &top] {
        let to = directory.path().join("gone");
        let ran = coordinator
            .grange(&["fetch", gone, "--to", to.to_str().unwrap()])
            .expect(1);
        assert!(ran.stderr.contains("not available"), "{ran:?}");
    }
    let swept = coordinator.grange(&["artifacts", "sweep"]).expect(0).stdout;
    assert!(swept.starts_with("0 of "), "{swept}");

    // The dependent is not there either, and needs what it was made from.
    coordinator
        .grange(&["build", "--wait", &top_file])
        .expect(0);
    let to = directory.path().join("top");
    coordinator
        .grange(&["fetch", &top, "--to", to.to_str().unwrap()])
        .expect(0);
    assert_eq!(fs::read_to_string(to).unwrap(), format!("{low} low\n"));
    assert_eq!(held(&coordinator)["outputs"]["count"], 3);
    drop(agent);
}
