//! The secret service, one end against the other, and against what is none. Guix's own ends are in `guix_secrets`.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use grange_vm::secrets::{
    SecretFile, SecretsError, connect_and_send, receive_secrets, send_secrets,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::TcpListener;

pub(crate) fn secrets() -> Vec<SecretFile> {
    let file = |path: &str, mode, contents: &[u8]| SecretFile {
        path: path.into(),
        mode,
        contents: contents.to_vec(),
    };
    vec![
        file(
            "/etc/ssh/ssh_host_ed25519_key",
            0o600,
            b"secret (\"key\")\n",
        ),
        file(
            "/etc/a \"quoted\\ name",
            0o644,
            &[0, 255, b')', 1].repeat(50_000),
        ),
        file("/etc/empty", 0o400, b""),
    ]
}

#[tokio::test]
async fn what_is_sent_arrives() {
    let (mut host, mut guest) = duplex(1000);
    let root = tempfile::tempdir().unwrap();
    let sent = secrets();
    let (sending, received) = tokio::join!(
        send_secrets(&mut host, &sent),
        receive_secrets(&mut guest, root.path())
    );
    sending.unwrap();
    let mut paths = received.unwrap();
    paths.sort();
    let mut expected: Vec<PathBuf> = sent.iter().map(|one| PathBuf::from(&one.path)).collect();
    expected.sort();
    assert_eq!(paths, expected);
    for secret in sent {
        let file = root.path().join(&secret.path[1..]);
        assert_eq!(std::fs::read(&file).unwrap(), secret.contents);
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o7777,
            secret.mode
        );
    }
}

/// What becomes of it when a host says that.
async fn told(says: &[u8]) -> (Result<Vec<PathBuf>, SecretsError>, Vec<PathBuf>) {
    let (mut host, mut guest) = duplex(1 << 16);
    let root = tempfile::tempdir().unwrap();
    host.write_all(says).await.unwrap();
    host.shutdown().await.unwrap();
    let received = receive_secrets(&mut guest, root.path()).await;
    let left = std::fs::read_dir(root.path()).unwrap();
    (received, left.map(|entry| entry.unwrap().path()).collect())
}

#[tokio::test]
async fn what_is_cut_off_leaves_no_file() {
    let (received, left) = told(b"(secrets (version 0) (files ((\"/a\" 4 33152))))abc").await;
    assert!(
        matches!(received, Err(SecretsError::Connection(_))),
        "{received:?}"
    );
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_cannot_be_put_in_its_place_leaves_nothing_beside_it() {
    let (mut host, mut guest) = duplex(1 << 16);
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("a/directory")).unwrap();
    let head = b"(secrets (version 0) (files ((\"/a\" 1 33152))))x";
    host.write_all(head).await.unwrap();
    let received = receive_secrets(&mut guest, root.path()).await;
    assert!(
        matches!(received, Err(SecretsError::Write(..))),
        "{received:?}"
    );
    let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn paths_that_lead_elsewhere_are_refused() {
    for path in [
        "a",
        "/../a",
        "/a/../b",
        "/a/./b",
        "/",
        "/a/",
        "",
        "/a\\x00;b",
    ] {
        let head = format!("(secrets (version 0) (files ((\"{path}\" 1 33152))))x");
        let (received, left) = told(head.as_bytes()).await;
        assert!(
            matches!(received, Err(SecretsError::Path(_))),
            "{path}: {received:?}"
        );
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn what_is_too_much_or_too_new_is_refused() {
    let (received, _) = told(b"(secrets (version 0) (files ((\"/a\" 99999999999 33152))))").await;
    assert!(
        matches!(received, Err(SecretsError::Size(99_999_999_999))),
        "{received:?}"
    );
    let (received, _) = told(b"(secrets (version 7) (files ()))").await;
    assert!(
        matches!(received, Err(SecretsError::Version(7))),
        "{received:?}"
    );
    for other in [
        &b"(secrets (version 0) (file ()))"[..],
        b"(secrets (version 0) (files ((\"/a\" -1 3))))",
        b"GET / HTTP/1.1\r\n",
    ] {
        let (received, _) = told(other).await;
        assert!(
            matches!(received, Err(SecretsError::Protocol(_))),
            "{received:?}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_boots_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let guest = tokio::spawn(async move {
        // As QEMU does for a guest that does not listen yet.
        drop(listener.accept().await.unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"(secret-service-server (version 0))")
            .await
            .unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    });
    let secret = SecretFile {
        path: "/a".into(),
        mode: 0o600,
        contents: b"abc".to_vec(),
    };
    connect_and_send(address, &[secret], Duration::from_secs(60))
        .await
        .unwrap();
    let all = guest.await.unwrap();
    assert_eq!(all, b"(secrets (version 0) (files ((\"/a\" 3 33152))))abc");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_for_ever() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    drop(listener);
    let error = connect_and_send(address, &[], Duration::from_secs(5))
        .await
        .unwrap_err();
    assert!(matches!(error, SecretsError::Nobody(5)), "{error}");
}
