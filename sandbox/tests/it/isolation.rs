//! What a build cannot see and do.

use grange_derivation::{Builder as Author, Dialect, Hash, StoreDir, StorePath, nar};
use grange_interfaces::BuildError;
use grange_model::{FailureKind, SetupProblem};

use crate::fixture::{Farm, FirstOutput, add_nar, farm, farm_with};
use crate::for_both_dialects;

/// Runs a script that must succeed; what it wrote to `$out`.
async fn seen(farm: &Farm, name: &str, script: &str) -> String {
    let drv = farm.drv(farm.shell(name, script));
    farm.build(&drv).await.built();
    farm.read(drv.out())
}

async fn text(farm: &Farm, name: &str, contents: &str) -> StorePath {
    add_nar(&farm.store, name, nar::of_file(contents.as_bytes())).await
}

for_both_dialects! {
    async fn inputs_are_read_only_and_nothing_else_is_there(farm) {
        let input = text(&farm, "input", "in").await;
        let other = text(&farm, "other", "out").await;
        let store = farm.store_dir();
        let script = format!(
            "cat {input} > $out
for place in {input} {store}/../x /x /etc/passwd /etc/x /dev/x $bb; do if (echo x > $place) 2> /dev/null; then echo wrote $place; exit 1; fi; done
if $bb rm -f {input} 2> /dev/null; then exit 1; fi
if $bb mount -t tmpfs none /tmp 2> /dev/null; then exit 1; fi
if $bb mount -o remount,rw / 2> /dev/null; then exit 1; fi
if $bb umount {input} 2> /dev/null; then exit 1; fi
[ ! -e {other} ]; [ ! -e /usr ]; [ ! -e /home ]; [ ! -e /sys ]
echo x > /tmp/x; echo x > /dev/shm/x; echo x > x; echo x > /dev/null; echo x > /dev/full || true"
        );
        let drv = farm.drv(farm.shell("read-only", &script).source(input.clone()));
        farm.build(&drv).await.built();
        assert_eq!(farm.read(drv.out()), "in");
        assert_eq!(farm.read(&input), "in");
    }

    async fn no_network_but_for_fixed_outputs(farm) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"greeting\n").await.unwrap();
            }
        };
        let script = format!("$bb nc 127.0.0.1 {port} < /dev/null > $out");
        let (closed, open) = ("closed", "open");
        let inside = farm.drv(farm.shell(closed, &script));
        let fixed = farm.drv(farm.shell(open, &script).fixed(false, Hash::sha256(b"greeting\n")));
        let builds = async {
            assert!(matches!(
                farm.build(&inside).await.error(),
                BuildError::Failed { kind: FailureKind::Exit(1), .. }
            ));
            farm.build(&fixed).await.built();
        };
        tokio::select! {
            () = builds => {}
            () = serve => {}
        }
        // Its own loopback device is up.
        let script = "$bb ifconfig lo | $bb grep -o 'UP LOOPBACK RUNNING' > $out";
        assert_eq!(seen(&farm, "loopback", script).await, "UP LOOPBACK RUNNING\n");
    }

    async fn only_its_own_processes(farm) {
        let script = "for p in /proc/[0-9]*; do echo ${p#/proc/}; done > pids; while read p; do [ $p -lt 10 ] || exit 1; done < pids; head -n 1 pids > $out";
        assert_eq!(seen(&farm, "processes", script).await, "1\n");
    }

    async fn names_of_the_machine(farm) {
        let script = "{ $bb hostname; $bb uname -n; cat /proc/sys/kernel/domainname; cat /etc/hosts; } > $out";
        assert_eq!(
            seen(&farm, "names", script).await,
            "localhost\nlocalhost\n(none)\n127.0.0.1 localhost\n::1 localhost\n"
        );
    }

    async fn links_and_files_as_inputs(farm) {
        let mut encoder = nar::Encoder::new(Vec::new());
        encoder.symlink(b"/elsewhere").unwrap();
        let link = add_nar(&farm.store, "link", encoder.finish().unwrap().0).await;
        let drv = farm.drv(farm.shell("link-input", &format!("$bb readlink {link} > $out")).source(link.clone()));
        farm.build(&drv).await.built();
        assert_eq!(farm.read(drv.out()), "/elsewhere\n");
    }

    async fn the_build_directory_goes(farm) {
        let script = "mkdir -p a/b/c; echo x > a/b/c/x; $bb chmod 000 a/b/c/x a/b/c a/b a; $bb mkfifo pipe; $bb ln -s / link
long=dddddddddddddddddddddddddddddddddddddddd; mkdir $long; i=0; while [ $i -lt 150 ]; do mkdir n; $bb mv $long n/$long; $bb mv n $long; i=$((i+1)); done
mkdir /tmp/left; $bb chmod 500 /tmp/left; echo ok > $out";
        seen(&farm, "untidy", script).await;
        assert_eq!(std::fs::read_dir(farm.directory.path().join("store/build")).unwrap().count(), 0);
        assert!(std::path::Path::new("/usr").exists());
    }

    async fn two_builds_at_once(farm) {
        let build = async |name: &str| {
            let script = "{ $bb id -u; pwd; } > $out; cat /proc/self/uid_map > /tmp/map; $bb sleep 0.3; cat /proc/self/uid_map";
            let drv = farm.drv(farm.shell(name, script));
            let outcome = farm.build(&drv).await;
            outcome.built();
            (farm.read(drv.out()), String::from_utf8(outcome.log).unwrap())
        };
        let ((one, one_map), (other, other_map)) = futures::future::join(build("one"), build("other")).await;
        assert_eq!(one.lines().next(), other.lines().next());
        if rustix::process::geteuid().is_root() {
            assert_ne!(one_map, other_map, "they are the same user of the machine");
        }
    }

    async fn keyrings_are_not_there(farm) {
        let script = "if $bb keyctl 2> /dev/null; then :; fi; grep=$($bb grep Seccomp: /proc/self/status); echo $grep > $out; $bb grep NoNewPrivs /proc/self/status >> $out; $bb grep CapEff /proc/self/status >> $out";
        assert_eq!(
            seen(&farm, "privileges", script).await,
            "Seccomp: 2\nNoNewPrivs:\t1\nCapEff:\t0000000000000000\n"
        );
    }

    async fn every_system_of_the_machine(farm) {
        let systems = ["x86_64-linux", "i686-linux"];
        if std::env::consts::ARCH != "x86_64" { return eprintln!("skipped: not on x86-64") }
        for (system, machine) in systems.into_iter().zip(["x86_64", "i686"]) {
            let busybox = format!("{}/bin/busybox", farm.busybox);
            let drv = Author::new(&farm.store_dir(), "machine", system, busybox.clone())
                .args(["sh", "-c"]).arg(format!("{busybox} uname -m > $out")).source(farm.busybox.clone());
            let drv = farm.drv(drv);
            farm.build(&drv).await.built();
            assert_eq!(farm.read(drv.out()), format!("{machine}\n"));
        }
    }

    async fn impure_variables_of_fixed_outputs(farm) {
        let _ = farm;
        let set = |config: &mut grange_sandbox::SandboxConfig| {
            config.impure_environment.insert("http_proxy".to_owned(), "http://proxy".to_owned());
        };
        let Some(farm) = farm_with(farm.dialect, set).await else { return };
        let script = "printf \"$http_proxy,${https_proxy-unset},${TMPDIR:+set}\" > $out";
        let impure = |name: &str| farm.shell(name, script).env("impureEnvVars", "http_proxy https_proxy");
        let fixed = farm.drv(impure("impure").fixed(false, Hash::sha256(b"http://proxy,,set")));
        farm.build(&fixed).await.built();
        let ordinary = farm.drv(impure("pure"));
        farm.build(&ordinary).await.built();
        assert_eq!(farm.read(ordinary.out()), ",unset,set");
    }
}

#[tokio::test]
async fn nix_refuses_set_user_id_and_attributes() {
    let Some(farm) = farm(Dialect::Nix).await else {
        return;
    };
    let script = "echo x > file; for mode in 4755 2755 u+s; do if $bb chmod $mode file 2> /dev/null; then exit 1; fi; done
$bb chmod 1755 file; $bb chmod 700 file; echo ok > $out";
    assert_eq!(seen(&farm, "set-id", script).await, "ok\n");
}

#[tokio::test]
async fn guix_takes_set_user_id_away() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let script = "mkdir $out; echo x > $out/file; $bb chmod 6755 $out/file; [ -u $out/file ]";
    let drv = farm.drv(farm.shell("set-id", script));
    farm.build(&drv).await.built();
    let file = farm.store.real_path(drv.out()).unwrap().join("file");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o555);
}

#[tokio::test]
async fn nix_passes_variables_as_files() {
    let Some(farm) = farm(Dialect::Nix).await else {
        return;
    };
    let script = "cat $textPath > $out; echo ${text-unset} $plain ${textPath##*/} >> $out";
    let author = farm
        .shell("pass", script)
        .env("passAsFile", "text")
        .env("text", "in a file\n")
        .env("plain", "not");
    let drv = farm.drv(author);
    farm.build(&drv).await.built();
    let name = Hash::sha256(b"text").to_base32();
    assert_eq!(
        farm.read(drv.out()),
        format!("in a file\nunset not .attr-{name}\n")
    );
    // Guix knows no such thing.
    let Some(farm) = crate::fixture::farm(Dialect::Guix).await else {
        return;
    };
    let drv = farm
        .shell("pass", "echo ${textPath-unset} $text > $out")
        .env("passAsFile", "text")
        .env("text", "x");
    let drv = farm.drv(drv);
    farm.build(&drv).await.built();
    assert_eq!(farm.read(drv.out()), "unset x\n");
}

#[tokio::test]
async fn declared_paths() {
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("shown")).unwrap();
    std::fs::write(real.join("shown/file"), "shown").unwrap();
    std::fs::write(real.join("hidden"), "hidden").unwrap();
    std::os::unix::fs::symlink("shown", real.join("link")).unwrap();
    let paths = vec![real.join("shown"), real.join("link")];
    let Some(farm) = farm_with(Dialect::Guix, |config| config.sandbox_paths = paths).await else {
        return;
    };
    let at = real.display();
    let script = format!(
        "cat {at}/shown/file {at}/link/file > $out; [ ! -e {at}/hidden ]; if (echo x > {at}/shown/file) 2> /dev/null; then exit 1; fi"
    );
    assert_eq!(seen(&farm, "declared", &script).await, "shownshown");
}

#[tokio::test]
async fn temporary_files_elsewhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().to_owned();
    let Some(farm) = farm_with(Dialect::Nix, |config| config.build_directory = Some(path)).await
    else {
        return;
    };
    assert_eq!(
        seen(
            &farm,
            "elsewhere",
            "echo x > x; echo y > /tmp/y; cat x /tmp/y > $out"
        )
        .await,
        "x\ny\n"
    );
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn another_store() {
    let Some(farm) = farm(Dialect::Guix).await else {
        return;
    };
    let store = StoreDir::new("/some/where/else").unwrap();
    let drv = Author::new(&store, "elsewhere", "x86_64-linux", "/some/where/else/x")
        .instantiate()
        .unwrap();
    let outcome = farm.build(&drv).await;
    assert!(matches!(
        outcome.error(),
        BuildError::Setup {
            problem: SetupProblem::Unsupported,
            ..
        }
    ));
}
