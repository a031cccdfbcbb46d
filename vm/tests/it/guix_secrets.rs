//! The secret service against Guix's own code, run by a real Guile. `xtask/guix setup` gets both; it needs root.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use grange_vm::secrets::{connect_and_send, receive_secrets};
use tokio::process::{Child, Command};

use crate::secrets::secrets;

/// Everything here ends within this time, or fails.
const LIMIT: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether there is a Guix, and somebody who may run it.
fn is_there() -> bool {
    let ready = root().join("target/guix/ready");
    let why = if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        "needs root"
    } else if !ready.exists() {
        "needs what `xtask/guix setup` gets"
    } else {
        return true;
    };
    eprintln!("skipped: {why}");
    false
}

/// Guile in a Guix whose `/etc/guix` is `directory`/etc.
fn guile(directory: &Path, code: &str) -> Child {
    let library = directory.join("etc/stand-ins");
    std::fs::create_dir_all(library.join("fibers")).unwrap();
    for name in [
        "fibers.scm",
        "fibers/io-wakeup.scm",
        "fibers/operations.scm",
        "fibers/timers.scm",
    ] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/guile")
            .join(name);
        std::fs::copy(from, library.join(name)).unwrap();
    }
    let code = format!("(use-modules (gnu build secret-service)) {code}");
    Command::new("sh")
        .arg(root().join("xtask/guix"))
        .arg("with")
        .arg(directory)
        .args(["guile-3.0", "-L", "/etc/guix/stand-ins", "-c", &code])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// A port that is free now.
fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn output(child: Child) -> String {
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
    let output = output.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[tokio::test]
async fn guix_receives_what_we_send() {
    if !is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let port = free();
    let code = format!(
        "(unless (secret-service-receive-secrets (make-socket-address AF_INET INADDR_LOOPBACK {port})) (exit 1))"
    );
    let guile = guile(directory.path(), &code);
    // Guix's code writes to absolute paths, of which this is one that is seen from outside.
    let mut sent = secrets();
    for secret in &mut sent {
        secret.path = format!("/etc/guix/received{}", secret.path);
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    connect_and_send(address, &sent, LIMIT).await.unwrap();
    let said = output(guile).await;
    for secret in sent {
        let path = secret.path.replace("/etc/guix/", "etc/");
        let file = directory.path().join(path);
        assert_eq!(std::fs::read(&file).unwrap(), secret.contents, "{said}");
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o7777,
            secret.mode
        );
    }
}

#[tokio::test]
async fn we_receive_what_guix_sends() {
    if !is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let sent = secrets();
    for secret in &sent {
        let file = directory.path().join(format!("etc/sent{}", secret.path));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &secret.contents).unwrap();
        let mode = std::fs::Permissions::from_mode(secret.mode);
        std::fs::set_permissions(&file, mode).unwrap();
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let code = format!(
        "(unless (secret-service-send-secrets (make-socket-address AF_INET INADDR_LOOPBACK {port}) \"/etc/guix/sent\") (exit 1))"
    );
    let guile = guile(directory.path(), &code);
    let accepted = tokio::time::timeout(LIMIT, listener.accept()).await;
    let (mut stream, _) = accepted.unwrap().unwrap();
    let into = tempfile::tempdir().unwrap();
    let paths = receive_secrets(&mut stream, into.path()).await.unwrap();
    drop(stream);
    output(guile).await;
    assert_eq!(paths.len(), sent.len());
    for secret in sent {
        let file = into.path().join(&secret.path[1..]);
        assert_eq!(std::fs::read(&file).unwrap(), secret.contents);
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o7777,
            secret.mode
        );
    }
}
