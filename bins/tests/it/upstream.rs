//! A farm whose substitute server is another farm.

use std::fs;

use crate::farm::{Store, can_build, start_agent};
use crate::process::{Coordinator, grange};

#[test]
fn what_another_farm_has_is_not_built() {
    if !can_build() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
    fs::create_dir_all(one.join("drvs")).unwrap();
    fs::create_dir(&other).unwrap();
    let key = directory.path().join("key.sec");
    grange(&["key", "generate", key.to_str().unwrap()]).expect(0);
    let publish = [
        "--publish",
        "127.0.0.1:0",
        "--guix-key",
        key.to_str().unwrap(),
    ];
    let farm = Coordinator::start(&one, &publish);
    let agent = start_agent(&farm, &one);
    let store = Store(one.join("drvs"));
    let (library, _) = store.shell("library", "echo library > $out", &[]);
    let script = "read line < $input0; echo $line $input0 > $out";
    let (middle, file) = store.shell("middle", script, &[&library]);
    farm.grange(&["build", "--wait", &file]).expect(0);

    let url = format!("http://{}/guix", farm.published.as_deref().unwrap());
    let public = directory.path().join("key.pub");
    let ask = [
        "--substitute-urls",
        &url,
        "--substitute-keys",
        public.to_str().unwrap(),
    ];
    let second = Coordinator::start(&other, &ask);
    let built = second
        .grange(&["build", "--wait", &file, "--json"])
        .expect(0);
    assert!(built.stdout.contains("succeeded"), "{built:?}");
    let check = |file: &str, more: &[&str]| {
        let key = public.to_str().unwrap();
        let asked = [
            "substitutes",
            "check",
            "--json",
            file,
            "--url",
            &url,
            "--key",
            key,
        ];
        grange(&[&asked, more].concat())
    };
    let found = check(&file, &["--inputs"]).expect(0).json().remove(0);
    assert_eq!(
        (&found["available"], &found["outputs"]),
        (&2.into(), &2.into())
    );
    let (_, other_file) = store.shell("other", "echo other > $out", &[]);
    let found = check(&other_file, &[]).expect(1).json().remove(0);
    assert_eq!(found["missing"].as_array().unwrap().len(), 1, "{found}");
    // What needs it is built here, from what is there.
    let script = "read line < $input0; echo $line again > $out";
    let (program, file) = store.shell("program", script, &[&middle]);
    let second_agent = start_agent(&second, &other);
    second.grange(&["build", "--wait", &file]).expect(0);
    let to = directory.path().join("fetched");
    let path = program.output("out").unwrap().to_string();
    second
        .grange(&["fetch", &path, "--to", to.to_str().unwrap()])
        .expect(0);
    let library = library.output("out").unwrap();
    assert_eq!(
        fs::read_to_string(to).unwrap(),
        format!("library {library} again\n")
    );
    let listed = second.grange(&["builds", "list", "--json"]).expect(0);
    assert_eq!(listed.json().len(), 2, "{listed:?}");
    drop((agent, second_agent));
}
