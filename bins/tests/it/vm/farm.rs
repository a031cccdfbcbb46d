//! A machine that builds for a farm.

use std::process::Command;
use std::time::{Duration, Instant};

use super::rig::rig;
use crate::farm::Store;
use crate::process::{AGENT, Coordinator, Running};

#[test]
fn builds_that_require_a_date_are_built_at_that_date_even_if_the_machine_dies() {
    let Some(rig) = rig() else { return };
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("coordinator.toml");
    std::fs::write(&config, "[farm]\nlease = \"6s\"\n").unwrap();
    let coordinator = Coordinator::start(directory.path(), &["--config", config.to_str().unwrap()]);
    let id = coordinator
        .grange(&["agent", "new", "--name", "past"])
        .expect(0)
        .stdout;
    let id = id.trim();
    let password = coordinator
        .grange(&["agent", id, "password", "new"])
        .expect(0)
        .stdout;
    let password_file = directory.path().join("password");
    std::fs::write(&password_file, password).unwrap();
    // What the guest is given goes into its memory.
    let program = directory.path().join("grange-agent");
    let stripped = Command::new("strip")
        .arg("-o")
        .arg(&program)
        .arg(AGENT)
        .status();
    assert!(stripped.unwrap().success());

    let machine = rig.create("farm", &["--date", "2020-01-01", "--no-keys"]);
    let mut agent = rig.command(&[
        "agent",
        "farm",
        "--coordinator",
        &coordinator.url,
        "--uuid",
        id,
    ]);
    agent.arg("--password-file").arg(&password_file);
    agent.arg("--agent-program").arg(&program).arg("--");
    for path in ["/bin", "/lib", "/lib64", "/usr"] {
        agent.args(["--sandbox-path", path]);
    }
    let log_file = directory.path().join("agent.log");
    agent.stderr(std::fs::File::create(&log_file).unwrap());
    let agent = Running::new(agent.spawn().unwrap());

    std::fs::create_dir(directory.path().join("drvs")).unwrap();
    let store = Store(directory.path().join("drvs"));
    let (dated, dated_file) = store.shell("openssl-1.1.1l", "/bin/date -u +%F > $out", &[]);
    // It is in a trap: `auto` finds the date.
    let ran = coordinator
        .grange(&["build", "--wait", "--environment", "auto", &dated_file])
        .expect(0);
    assert!(ran.stderr.contains("date=2020-01-01"), "{ran:?}");
    let output = dated.output("out").unwrap().to_string();
    let to = directory.path().join("out");
    coordinator
        .grange(&["fetch", &output, "--to", to.to_str().unwrap()])
        .expect(0);
    assert_eq!(std::fs::read_to_string(to).unwrap(), "2020-01-01\n");

    // What does not require it does not come here.
    let (_, other) = store.shell("hello", "echo hello > $out", &[]);
    let build = coordinator.grange(&["build", &other]).expect(0).stdout;
    let why = coordinator
        .grange(&["build", build.trim(), "why"])
        .expect(0)
        .stdout;
    assert!(
        why.contains("exclusive") || why.contains("no agent") || why.contains("requires"),
        "{why}"
    );

    // While it builds, it is not destroyed.
    let refused = rig.grange(&["destroy", "farm"]).expect(1);
    assert!(
        refused.stderr.contains("clones of the machine farm"),
        "{refused:?}"
    );

    // A machine that dies in the middle: the build is done by the next one.
    let script = "echo begun; i=0; while [ $i -lt 40 ]; do /bin/sleep 0.1; i=$((i+1)); done; echo done > $out";
    let (_, long) = store.shell("long", script, &[]);
    let build = coordinator
        .grange(&["build", "--requires", "date=2020-01-01", &long])
        .expect(0)
        .stdout;
    let build = build.trim();
    let until = |what: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(120);
        while !what() {
            assert!(Instant::now() < end, "it has not come to that");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let shown = || {
        coordinator
            .grange(&["build", build, "show", "--json"])
            .json()
            .remove(0)
    };
    let log = || coordinator.grange(&["build", build, "log"]).stdout;
    until(&|| log().contains("begun"));
    for emulator in machine.emulators() {
        let pid = rustix::process::Pid::from_raw(emulator.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    until(&|| shown()["build"]["state"] == "succeeded");
    let told = std::fs::read_to_string(&log_file).unwrap();
    assert!(
        told.contains("signal: 9") && told.contains("another clone follows"),
        "{told}"
    );
    assert_eq!(agent.stop(), Some(0));
    until(&|| machine.emulators().is_empty());
}
