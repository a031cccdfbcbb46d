//! Software that builds on some machines alone.

use super::rig::{rig, root};
use crate::process::grange;

fn example(name: &str) -> String {
    let directory = root().join("examples/vm").join(name);
    format!("{}:/work", directory.display())
}

#[test]
fn a_test_suite_whose_certificate_has_expired_passes_in_its_time() {
    let Some(rig) = rig() else { return };
    let machine = rig.create("time", &["--cpu", "Westmere", "--no-keys"]);
    let put = example("time-trap");
    let check = |date: &str| {
        let options = ["--date", date, "--put", &put, "--directory", "/work"];
        machine.run(&options, &["make", "check"])
    };
    let good = check("2020-01-01").expect(0);
    assert!(good.stdout.contains("server.pem: OK"), "{good:?}");
    // No file is from the future.
    assert!(!good.stderr.contains("clock skew"), "{good:?}");
    let late = check("2020-06-02").expect(2);
    assert!(late.stderr.contains("certificate has expired"), "{late:?}");
    let early = check("2018-06-01").expect(2);
    assert!(early.stderr.contains("not yet valid"), "{early:?}");

    // What its kernel is, what `grange vm` says of it, and what time it is.
    let said = machine
        .run(
            &[],
            &["sh", "-c", "date -u +%F; hostname; cat /proc/cpuinfo"],
        )
        .expect(0);
    assert!(said.stdout.starts_with("2020-01-01\ntime\n"), "{said:?}");
    assert!(said.stdout.contains("Westmere"), "{said:?}");

    // Here, today.
    let mut make = std::process::Command::new("make");
    make.arg("-C")
        .arg(root().join("examples/vm/time-trap"))
        .arg("check");
    assert_eq!(make.output().unwrap().status.code(), Some(2));
}

#[test]
fn what_is_compiled_for_a_newer_processor_is_refused_by_an_older_one() {
    let Some(rig) = rig() else { return };
    let put = example("cpu-trap");
    let options = ["--put", &put, "--directory", "/work"];
    let new = rig.create("haswell", &["--cpu", "Haswell", "--no-keys"]);
    new.run(&options, &["make", "check"]).expect(0);
    let old = rig.create("westmere", &["--cpu", "Westmere", "--no-keys"]);
    let refused = old.run(&options, &["make", "check"]).expect(2);
    assert!(
        refused.stderr.contains("Illegal instruction"),
        "{refused:?}"
    );
}

#[test]
fn what_relies_on_a_kernel_passes_with_that_one() {
    let Some(rig) = rig() else { return };
    let guest = super::rig::guest_program().display().to_string();
    let cloud = [
        "image",
        "build",
        "debian-12-cloud",
        "--kernel",
        "linux-image-cloud-amd64",
    ];
    rig.grange(&[&cloud[..], &["--guest-program", &guest]].concat())
        .expect(0);
    let put = example("kernel-trap");
    let options = ["--put", &put, "--directory", "/work"];
    let with = rig.create("cloud", &["--image", "debian-12-cloud", "--no-keys"]);
    with.run(&options, &["make", "check"]).expect(0);
    let without = rig.create("plain", &["--no-keys"]);
    without.run(&options, &["make", "check"]).expect(2);
}

#[test]
fn the_catalogue_names_traps_of_a_closure_and_where_each_builds() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::farm::Store(directory.path().to_owned());
    let (openssl, _) = store.shell("openssl-1.1.1l", "true", &[]);
    let (_, above) = store.shell("curl-7.79.1", "true", &[&openssl]);
    let (_, hello) = store.shell("hello-2.12", "true", &[]);
    let caught = grange(&["traps", "check", &above, "--json"])
        .expect(1)
        .json();
    assert_eq!(caught.len(), 1, "{caught:?}");
    assert_eq!(caught[0]["environment"], "date=2020-01-01");
    let text = grange(&["traps", "check", &above]).expect(1).stdout;
    assert!(
        text.contains("openssl-1.1.1l.drv: builds in date=2020-01-01"),
        "{text}"
    );
    grange(&["traps", "check", &hello]).expect(0);
    let further = directory.path().join("traps.toml");
    let trap = "[[trap]]\npackage = \"hello\"\nenvironment = { cpu = \"Westmere\" }\nwhy = \"w\"\nevidence = \"e\"\n";
    std::fs::write(&further, trap).unwrap();
    let further = further.to_str().unwrap();
    grange(&["traps", "check", &hello, "--file", further]).expect(1);
    std::fs::write(further, trap.replace("cpu", "cup")).unwrap();
    let wrong = grange(&["traps", "list", "--file", further]).expect(78);
    assert!(wrong.stderr.contains("cup"), "{wrong:?}");
    let all = grange(&["traps", "list"]).expect(0).stdout;
    assert!(all.contains("openblas"), "{all}");
    grange(&["traps", "check", "/nowhere/openssl"]).expect(64);
}
