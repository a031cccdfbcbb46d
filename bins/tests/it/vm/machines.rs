//! Machines that are made, started, looked at, stopped and destroyed.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::rig::{Machine, rig};
use crate::process::grange;

/// Ports of this host, to the guest's ssh.
pub(super) fn forward() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("{}:22", listener.local_addr().unwrap().port())
}

fn status(machine: &Machine<'_>) -> serde_json::Value {
    let ran = machine.rig.grange(&["status", &machine.name, "--json"]);
    ran.json().remove(0)["status"].take()
}

#[test]
fn what_is_written_goes_to_a_disk_which_ends_with_its_clone() {
    let Some(rig) = rig() else { return };
    for (size, why) in [
        ("1M", "a disk has from 64 MiB"),
        ("16T", "a disk has from 64 MiB"),
    ] {
        let refused = rig.grange(&["create", "disk", "--disk-size", size]);
        assert!(
            refused.status != 0 && refused.stderr.contains(why),
            "{refused:?}"
        );
    }
    let machine = rig.create("disk", &["--disk-size", "1G", "--no-keys"]);
    // More than it has memory.
    let write = "test ! -e /var/tmp/big && dd if=/dev/zero of=/var/tmp/big bs=1M count=600 2>/dev/null \
                 && stat -c %s /var/tmp/big && df -BM --output=size / /tmp | tail -n 2";
    let wrote = machine.run(&[], &["sh", "-c", write]).expect(0);
    let lines: Vec<_> = wrote.stdout.split_whitespace().collect();
    assert_eq!(lines[0], (600 << 20).to_string());
    for size in &lines[1..] {
        let mib: u32 = size.trim_end_matches('M').parse().unwrap();
        assert!((900..=1024).contains(&mib), "{size}");
    }
    // The next knows nothing of it, and is told when there is no more.
    let full = "test ! -e /var/tmp/big && dd if=/dev/zero of=/tmp/big bs=1M count=1100";
    let full = machine.run(&[], &["sh", "-c", full]).expect(1);
    assert!(full.stderr.contains("No space left on device"), "{full:?}");
}

#[test]
fn a_machine_is_started_reached_by_ssh_and_by_its_console_and_stopped() {
    let Some(rig) = rig() else { return };
    let machine = rig.create("kept", &["--forward", &forward(), "--date", "2019-03-04"]);
    assert_eq!(status(&machine)["state"], "stopped");
    let refused = rig.grange(&["create", "kept"]).expect(1);
    assert!(
        refused.stderr.contains("there is a machine kept already"),
        "{refused:?}"
    );
    // Of two that start it, one does.
    let start = || {
        rig.command(&["start", "kept"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
    let refused: Vec<_> = both.iter().filter(|one| !one.status.success()).collect();
    assert_eq!(refused.len(), 1, "{both:?}");
    let told = String::from_utf8_lossy(&refused[0].stderr);
    assert!(told.contains("kept runs, or is being started"), "{told}");
    let running = status(&machine);
    assert_eq!(running["state"], "running", "{running}");
    // Which, and why that.
    assert!(
        running["accelerator"]["why"].as_str().unwrap().len() > 5,
        "{running}"
    );
    assert_eq!(machine.emulators().len(), 1);

    // Only one looks after it, and it is not destroyed under that one.
    for command in ["start", "destroy"] {
        let refused = rig.grange(&[command, "kept"]).expect(1);
        assert!(refused.stderr.contains("kept runs"), "{refused:?}");
    }

    let said = rig
        .grange(&["ssh", "kept", "--", "id -un; date -u +%F"])
        .expect(0);
    assert_eq!(said.stdout, "offloading\n2019-03-04\n", "{said:?}");

    // The hardware clock of a clone is at its date, too.
    let clock = ["run", "kept", "--date", "2021-05-06", "--", "cat"];
    let clock = [&clock[..], &["/sys/class/rtc/rtc0/date"]].concat();
    assert_eq!(rig.grange(&clock).expect(0).stdout, "2021-05-06\n");

    // Whoever types nothing does not wait for its end.
    let mut nothing = rig.command(&["console", "kept"]);
    let looked = nothing.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(looked.unwrap().success());
    assert_eq!(status(&machine)["state"], "running");

    // What its kernel prints at the end is seen on the console, also by who comes late.
    let mut console = rig.command(&["console", "kept"]);
    let mut console = console
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let panic = ["ssh", "kept", "--user", "offloading", "--", "true"];
    rig.grange(&panic).expect(0);
    rig.grange(&["stop", "kept"]).expect(0);
    let mut text = String::new();
    console
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    drop(console.stdin.take());
    console.wait().unwrap();
    assert_eq!(status(&machine)["state"], "stopped");
    assert!(machine.emulators().is_empty());
    rig.grange(&["stop", "kept"]).expect(1);
    rig.grange(&["ssh", "kept"]).expect(1);
    rig.grange(&["status", "kept"]).expect(1);
}

#[test]
fn an_emulator_that_is_killed_is_noticed_and_so_is_a_supervisor() {
    let Some(rig) = rig() else { return };
    let machine = rig.create("killed", &["--forward", &forward(), "--no-keys"]);
    rig.grange(&["start", "killed"]).expect(0);
    let kill = |id: u32| {
        let pid = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    };
    kill(machine.emulators()[0]);
    let until = |what: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(60);
        while !what() {
            assert!(Instant::now() < end, "it has not come to that");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until(&|| status(&machine)["state"] == "failed");
    let text = status(&machine)["text"].as_str().unwrap().to_owned();
    assert!(text.contains("QEMU has ended: signal: 9"), "{text}");

    rig.grange(&["start", "killed"]).expect(0);
    kill(u32::try_from(status(&machine)["supervisor"].as_u64().unwrap()).unwrap());
    // The kernel ends its emulator with it.
    until(&|| machine.emulators().is_empty());
    let dead = status(&machine);
    assert_eq!(dead["state"], "failed", "{dead}");
    assert!(
        dead["text"].as_str().unwrap().contains("was killed"),
        "{dead}"
    );
    rig.grange(&["start", "killed"]).expect(0);
}

#[test]
fn files_and_directories_go_in_and_come_out() {
    let Some(rig) = rig() else { return };
    let machine = rig.create("files", &["--no-keys", "--date", "2009-06-01"]);
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name);
    std::fs::create_dir_all(path("in/sub")).unwrap();
    std::fs::write(path("in/sub/a"), "a").unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7) as u8).collect();
    std::fs::write(path("large"), &bytes).unwrap();
    let pair = |a: &str, b: &str| format!("{a}:{b}");
    let at = |name: &str| path(name).display().to_string();
    let (directory, large) = (pair(&at("in"), "/in"), pair(&at("large"), "/tmp/large"));
    let (tree, file) = (pair("/out", &at("out")), pair("/tmp/large", &at("back")));
    let options = [
        "--put", &directory, "--put", &large, "--get", &tree, "--get", &file, "--env", "X=1 2",
    ];
    let script =
        "cp -r /in /out && echo \"$X\" > /out/x && echo said && echo complained >&2 && exit 7";
    let ran = machine.run(&options, &["sh", "-c", script]).expect(7);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("said\n", "complained\n"));
    assert_eq!(std::fs::read_to_string(path("out/sub/a")).unwrap(), "a");
    assert_eq!(std::fs::read_to_string(path("out/x")).unwrap(), "1 2\n");
    assert_eq!(std::fs::read(path("back")).unwrap(), bytes);

    // Its processor is the one of its date, and so is its clock.
    let script = "date -u +%F; cat /proc/cpuinfo";
    let said = machine.run(&[], &["sh", "-c", script]).expect(0).stdout;
    assert!(
        said.starts_with("2009-06-01\n") && said.contains("Nehalem"),
        "{said}"
    );

    // A clone is thrown away, and knows nothing of the one before; nor does it draw the same random numbers.
    let script = "[ ! -e /out ] && od -An -N16 -tx1 /dev/urandom";
    let one = machine.run(&[], &["sh", "-c", script]).expect(0).stdout;
    let other = machine.run(&[], &["sh", "-c", script]).expect(0).stdout;
    assert_ne!(one, other);
    machine
        .run(&[], &["sh", "-c", "kill -9 $$"])
        .expect(128 + 9);
    let nobody = machine.run(&["--user", "nobody"], &["id", "-un"]).expect(0);
    assert_eq!(nobody.stdout, "nobody\n");
    let none = machine.run(&[], &["no-such-program"]).expect(1);
    assert!(none.stderr.contains("no-such-program"), "{none:?}");
    let gone = machine
        .run(&["--put", "/nowhere/x:/x"], &["true"])
        .expect(1);
    assert!(gone.stderr.contains("/nowhere/x"), "{gone:?}");
    // Without `--network` there is no way out.
    let out = "exec 3<>/dev/tcp/10.0.2.2/22";
    machine.run(&[], &["bash", "-c", out]).expect(1);
    assert!(machine.emulators().is_empty());
}

#[test]
fn what_cannot_be_is_told_before_anything_is_started() {
    let Some(rig) = rig() else { return };
    for (arguments, status, told) in [
        (&["create", "a b"][..], 64, "because of ' '"),
        (&["create", "a/b"], 64, "because of '/'"),
        (
            &["create", "old", "--date", "2005-12-31"],
            1,
            "the table begins in 2006",
        ),
        (
            &["create", "late", "--date", "2039-01-01"],
            64,
            "2038-01-19",
        ),
        (
            &["create", "odd", "--date", "yesterday"],
            64,
            "2020-01-01T12:00:00",
        ),
        (
            &["create", "open", "--forward", "0.0.0.0:1:22"],
            64,
            "only loopback",
        ),
        (
            &["create", "two", "--forward", "1:22", "--forward", "1:23"],
            1,
            "begin at the same port",
        ),
        (&["create", "small", "--memory", "1"], 1, "from 128 MiB"),
        (
            &["create", "sparc", "--system", "sparc-linux"],
            1,
            "i586-gnu",
        ),
        (&["start", "nobody"], 1, "there is no machine nobody"),
        (
            &["run", "nobody", "--", "true"],
            1,
            "there is no machine nobody",
        ),
    ] {
        let ran = rig.grange(arguments).expect(status);
        assert!(ran.stderr.contains(told), "{arguments:?}: {ran:?}");
    }
    let unknown = rig.create("unknown-cpu", &["--cpu", "Pentium9", "--no-keys"]);
    let ran = unknown.run(&[], &["true"]).expect(1);
    assert!(
        ran.stderr.contains("does not know a processor Pentium9"),
        "{ran:?}"
    );
    let image = rig.create("no-image", &["--image", "nowhere", "--no-keys"]);
    let ran = image.run(&[], &["true"]).expect(1);
    assert!(ran.stderr.contains("nowhere"), "{ran:?}");
    let qemu = rig.create("no-qemu", &["--qemu", "/nowhere/qemu", "--no-keys"]);
    let ran = qemu.run(&[], &["true"]).expect(1);
    assert!(ran.stderr.contains("/nowhere/qemu is not there"), "{ran:?}");
    let huge = rig.create("huge", &["--memory", "16000000", "--no-keys"]);
    let ran = huge.run(&[], &["true"]).expect(1);
    assert!(ran.stderr.contains("QEMU has ended"), "{ran:?}");
    // A guest that does not answer in time, and what it has printed.
    let slow = rig.create("slow", &["--no-keys"]);
    let ran = slow
        .run(&["--accelerator", "tcg", "--limit", "1s"], &["true"])
        .expect(1);
    assert!(
        ran.stderr.contains("has not answered within 1 s"),
        "{ran:?}"
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let forward = format!("{port}:22");
    let machine = rig.create("port", &["--forward", &forward, "--no-keys"]);
    let ran = rig.grange(&["start", "port"]).expect(1);
    assert!(ran.stderr.contains(&format!("port {port}")), "{ran:?}");
    assert_eq!(status(&machine)["state"], "failed");

    // A disk that is none, or not all of one.
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    let mut file = std::fs::File::create(&disk).unwrap();
    file.write_all(b"\x7fELF no disk").unwrap();
    let disk = disk.to_str().unwrap();
    rig.grange(&["image", "import", disk, "--name", "odd"])
        .expect(1);
    std::fs::write(disk, b"QFI\xfb\0\0\0\x03").unwrap();
    rig.grange(&["image", "import", disk, "--name", "odd"])
        .expect(1);
}

#[test]
fn help_is_there_for_all_of_it() {
    for arguments in [
        &["vm", "--help"][..],
        &["vm", "create", "--help"],
        &["vm", "run", "--help"],
        &["vm", "agent", "--help"],
        &["vm", "image", "build", "--help"],
        &["traps", "--help"],
    ] {
        let ran = grange(arguments).expect(0);
        assert!(ran.stdout.contains("Usage: grange"), "{ran:?}");
    }
}
