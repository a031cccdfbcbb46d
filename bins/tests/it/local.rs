//! Commands that need no coordinator.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use grange_derivation::{Builder, StoreDir};

use crate::process::{GRANGE, Ran, grange, program};

#[test]
fn archives_are_packed_listed_unpacked_and_hashed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("tree")).unwrap();
    fs::write(at("tree/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at("tree/run"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("run", at("tree/link")).unwrap();

    grange(&["nar", "pack", &at("tree"), "--to", &at("tree.nar")]).expect(0);
    let packed = program(GRANGE)
        .args(["nar", "pack", &at("tree")])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(packed.stdout, fs::read(at("tree.nar")).unwrap());

    let ran = grange(&["nar", "list", &at("tree.nar"), "--json"]).expect(0);
    let listed: Vec<String> = ran
        .json()
        .iter()
        .map(|entry| format!("{} {}", entry["type"].as_str().unwrap(), entry["path"]))
        .collect();
    assert_eq!(
        listed,
        ["directory \"\"", "symlink \"link\"", "regular \"run\""]
    );
    assert_eq!(ran.json()[2]["executable"], true);

    grange(&["nar", "unpack", &at("tree.nar"), "--to", &at("copy")]).expect(0);
    let hash = |name: &str| {
        grange(&["nar", "hash", &at(name), "--json"])
            .expect(0)
            .json()[0]["sha256"]
            .clone()
    };
    assert_eq!(hash("copy"), hash("tree"));
    assert_eq!(
        grange(&["nar", "hash", &at("copy")])
            .expect(0)
            .stdout
            .trim()
            .len(),
        52
    );

    // What is there is not overwritten, and what is no archive leaves nothing behind.
    grange(&["nar", "unpack", &at("tree.nar"), "--to", &at("copy")]).expect(1);
    grange(&["nar", "pack", &at("tree"), "--to", &at("tree.nar")]).expect(1);
    fs::write(at("bad.nar"), &packed.stdout[..packed.stdout.len() - 8]).unwrap();
    grange(&["nar", "unpack", &at("bad.nar"), "--to", &at("bad")]).expect(1);
    assert!(!directory.path().join("bad").exists());
    grange(&["nar", "list", &at("bad.nar")]).expect(1);
}

#[test]
fn derivations_are_shown_as_nix_does() {
    let directory = tempfile::tempdir().unwrap();
    let store = StoreDir::nix();
    let library = Builder::new(&store, "library", "x86_64-linux", "/bin/sh")
        .instantiate()
        .unwrap();
    let tool = Builder::new(&store, "tool", "x86_64-linux", "/bin/sh")
        .input(&library, &["out"])
        .instantiate()
        .unwrap();
    let mut files = Vec::new();
    for derivation in [&library, &tool] {
        let file = directory.path().join(derivation.path.base_name());
        fs::write(&file, &derivation.text).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let ran = grange(&["derivation", "show", &files[0], &files[1], "--json"]).expect(0);
    let value = &ran.json()[0];
    assert_eq!(
        value.as_object().unwrap().len(),
        2,
        "one object for all files"
    );
    let shown = &value[tool.path.to_string()];
    assert_eq!(shown["inputDrvs"][library.path.to_string()][0], "out");
    assert_eq!(
        shown["outputs"]["out"]["path"],
        tool.output("out").unwrap().to_string()
    );

    let renamed = directory
        .path()
        .join(format!("{}-other.drv", library.path.hash_part()));
    fs::copy(&files[0], &renamed).unwrap();
    let ran: Ran = grange(&["derivation", "show", renamed.to_str().unwrap()]).expect(1);
    assert!(ran.stderr.starts_with("grange: cannot show"), "{ran:?}");
    fs::write(&files[0], "Derive([").unwrap();
    grange(&["derivation", "show", &files[0]]).expect(1);
}

#[test]
fn farms_are_simulated_and_policies_compared() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let graph = "grange-graph 1\n\
                 alone\tx86_64-linux\t-\tout\t-\t9000\n\
                 first\tx86_64-linux\t-\tout\t-\t4000\n\
                 second\tx86_64-linux\t-\tout\t1\t4000\n\
                 third\tx86_64-linux\t-\tout\t2\t4000\n";
    fs::write(at("graph"), graph).unwrap();
    let fleet = "[[machine]]\nsystems = [\"x86_64-linux\"]\nslots = 1\n";
    fs::write(at("fleet.toml"), fleet).unwrap();
    let (graph, fleet, svg) = (at("graph"), at("fleet.toml"), at("farm.svg"));
    let all = [
        "simulate", "--graph", &graph, "--fleet", &fleet, "--gantt", &svg,
    ];
    let ran = grange(&all).expect(0);
    assert!(
        ran.stdout.contains("critical-path+fastest+floors"),
        "{ran:?}"
    );
    assert!(fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    // The table is there also if the picture cannot be written in the end.
    let full = ["simulate", "--graph", &graph, "--gantt", "/dev/full"];
    let ran = grange(&full).expect(1);
    assert!(ran.stdout.contains("MAKESPAN"), "{ran:?}");
    assert!(ran.stderr.contains("cannot write /dev/full"), "{ran:?}");
    let json = [&all[..], &["--json", "--policy", "fifo,critical-path"]].concat();
    let rows = grange(&json).expect(0).json();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(row["makespan_ms"], 21_000);
        assert_eq!((&row["builds"], &row["ratio"]), (&4.into(), &1.0.into()));
    }
    assert_eq!(rows[1]["policy"], "critical-path");
}

#[test]
fn what_cannot_be_simulated_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let line = "a\tx86_64-linux\t-\tout\t";
    let good = file("good", &format!("grange-graph 1\n{line}-\n"));
    let circle = file("circle", &format!("grange-graph 1\n{line}0\n"));
    let dangling = file("dangling", &format!("grange-graph 1\n{line}7\n"));
    let empty = file("empty", "grange-graph 1\n");
    let long = file(
        "long",
        &format!("grange-graph 1\n{line}-\t18446744073709551615\n"),
    );
    let none = file("none.toml", "");
    let negative = file(
        "negative.toml",
        "[[machine]]\nsystems = [\"x86_64-linux\"]\nspeed = -1.0\n",
    );
    let other = file("other.toml", "[[machine]]\nsystems = [\"sparc-linux\"]\n");
    let stands = "line 2 of the graph: input";
    for (arguments, status, expected) in [
        (vec!["--graph", &circle], 1, stands),
        (vec!["--graph", &dangling], 1, stands),
        (vec!["--graph", "/nowhere"], 1, "cannot read /nowhere"),
        (
            vec!["--graph", &good, "--fleet", &none],
            1,
            "fleet: there is no machine in it",
        ),
        (
            vec!["--graph", &good, "--fleet", &negative],
            1,
            "speed -1 is not between 0.001 and 1000",
        ),
        (
            vec!["--graph", &good, "--gantt", "/nowhere/farm.svg"],
            1,
            "cannot write /nowhere/farm.svg",
        ),
        (vec!["--graph", &empty], 1, "/empty: the graph is empty"),
        (vec!["--graph", &long], 1, "are more than a year"),
        (
            vec!["--copies", "1000"],
            1,
            "1000 times 71764 derivations; at most 10000000",
        ),
        (
            vec!["--graph", &good, "--fleet", &other],
            1,
            "no machine of the fleet builds for x86_64-linux",
        ),
        (
            vec!["--graph", &good, "--policy", "fair"],
            64,
            "policy: `fair` is unknown",
        ),
        (
            vec!["--graph", &good, "--speeds=-1..4"],
            64,
            "it is no number between 0.001 and 1000",
        ),
        (
            vec!["--graph", &good, "--evaluations", "2", "--change", "101"],
            64,
            "between 0 and 100",
        ),
    ] {
        let ran = grange(&[&["simulate"], &arguments[..]].concat()).expect(status);
        assert!(ran.stderr.contains(expected), "{arguments:?}: {ran:?}");
    }
}
