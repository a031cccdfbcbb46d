//! A real guix-daemon that fetches what the farm has built, with a store of its own.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grange_signatures::guix::{Acl, PublicKey};

use crate::farm::{Store, can_build, start_agent};
use crate::process::{Coordinator, grange};

/// A daemon in a mount namespace, killed when it is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The script that runs a Guix which was unpacked, if there is one.
fn script() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root || !root.join("target/guix/ready").exists() {
        println!("skipped: `cargo xtask verify --install`, as root, gets a Guix");
        return None;
    }
    Some(root.join("xtask/guix"))
}

fn guix(script: &Path, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.arg(script).arg("with").arg(directory);
    command.args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn a_guix_daemon_substitutes_from_gzip_and_lzip() {
    let Some(script) = script() else { return };
    if !can_build() {
        return;
    }
    for compression in ["gzip", "lzip"] {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let key = at.join("key.sec");
        grange(&["key", "generate", key.to_str().unwrap()]).expect(0);
        let flags = ["--publish", "127.0.0.1:0", "--compression", compression];
        let flags = [&flags[..], &["--guix-key", key.to_str().unwrap()]].concat();
        let coordinator = Coordinator::start(at, &flags);
        let agent = start_agent(&coordinator, at);
        fs::create_dir(at.join("drvs")).unwrap();
        let store = Store(at.join("drvs"));
        let (library, _) = store.shell("library", "echo library > $out", &[]);
        let (program, file) = store.shell("program", "echo $input0 > $out", &[&library]);
        coordinator.grange(&["build", "--wait", &file]).expect(0);

        let guix_at = at.join("guix");
        fs::create_dir_all(guix_at.join("etc")).unwrap();
        let mut trusted = Acl::new();
        trusted.authorize(&PublicKey::parse(&fs::read(at.join("key.pub")).unwrap()).unwrap());
        fs::write(guix_at.join("etc/acl"), trusted.to_file()).unwrap();
        let url = format!("http://{}/guix", coordinator.published.as_deref().unwrap());
        let urls = format!("--substitute-urls={url}");
        let daemon = [
            "/usr/bin/guix-daemon",
            "--build-users-group=guixbuild",
            &urls,
        ];
        let log = fs::File::create(at.join("guix-daemon.log")).unwrap();
        let mut daemon = guix(&script, &guix_at, &daemon);
        let _daemon = Daemon(daemon.stderr(log).spawn().unwrap());
        let socket = guix_at.join("var/daemon-socket/socket");
        let begun = Instant::now();
        while !socket.exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no guix-daemon");
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = program.output("out").unwrap();
        let path = output.to_string();
        let built = guix(&script, &guix_at, &["guix", "build", &path])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{compression}: {said}");
        let fetched = |path: &grange_derivation::StorePath| {
            fs::read_to_string(guix_at.join("store").join(path.base_name())).unwrap()
        };
        let library = library.output("out").unwrap();
        assert_eq!(fetched(output), format!("{library}\n"));
        assert_eq!(fetched(library), "library\n");
        assert_eq!(agent.stop(), Some(0));
        assert_eq!(coordinator.running.stop(), Some(0));
    }
}
