//! Unix sockets.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Endpoint, Peer, Secret};
use grange_transport_http::{BindError, ListenAddress, Server, ServerConfig};

use crate::fake::Fake;
use crate::support::{BOTH, Running, ask, server_config};

fn who() -> Message {
    Message::NewPassword {
        agent: "11111111-2222-7333-8444-555555555555".parse().unwrap(),
    }
}

fn at(path: &Path) -> ListenAddress {
    ListenAddress::Unix(path.to_owned())
}

async fn refused(address: ListenAddress) -> BindError {
    Server::bind(address, ServerConfig::default())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn only_its_owner_may_open_it_and_is_local_where_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for (trusted, name) in [(true, "local"), (false, "anonymous")] {
        let config = server_config(|config| config.trusted = trusted);
        let server = Running::start(at(&path), &Fake::new(), config).await;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for http in BOTH {
            let client = server.client(http);
            assert_eq!(
                ask(&client, who()).await.unwrap(),
                Answer::Password(name.into())
            );
            let (answer, _) = client
                .call(&Peer::Token(Secret("t".into())), who(), None)
                .await
                .unwrap();
            assert_eq!(
                answer,
                Answer::Password("token t".into()),
                "who says who it is, is that"
            );
        }
        server.stop().await;
        assert!(!path.exists());
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["s.lock"]);
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_used_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = Running::start(at(&path), &Fake::new(), ServerConfig::default()).await;
    let error = refused(at(&path)).await;
    assert!(matches!(error, BindError::InUse(_)), "{error:?}");
    ask(&server.client(BOTH[0]), Message::Counts).await.unwrap();
    server.stop().await;

    // Somebody else's, who knows nothing of our lock.
    let foreign = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(matches!(refused(at(&path)).await, BindError::InUse(_)));
    drop(foreign);
}

#[tokio::test]
async fn what_is_no_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(refused(at(&path)).await, BindError::NotASocket(_)));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_path_that_cannot_be_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    for path in [
        folder.path().join("x".repeat(120)),
        folder.path().join("missing/s"),
    ] {
        let error = refused(at(&path)).await;
        assert!(matches!(error, BindError::Io { .. }), "{error:?}");
        assert!(error.to_string().contains(&*path.to_string_lossy()));
        assert!(std::error::Error::source(&error).is_some());
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.len() <= 1, "{left:?}");
}

#[tokio::test]
async fn a_tcp_port_cannot_be_trusted() {
    let config = server_config(|config| config.trusted = true);
    let error = Server::bind("127.0.0.1:0".parse().unwrap(), config)
        .await
        .unwrap_err();
    assert!(matches!(error, BindError::TrustedTcp(_)));
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() {
    let (server, _) = Running::plain().await;
    let error = refused(server.address.clone()).await;
    assert_eq!(
        error.to_string(),
        format!("another process is listening on {}", server.authority())
    );
    server.stop().await;
}
