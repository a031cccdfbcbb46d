//! Bytes on a socket, as somebody sends them who is no client of ours.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// When something hangs: many times what is given for headers. `slow` measures that time.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is answered until the other side closes; none if it neither answers all nor closes.
pub(crate) async fn answer(mut stream: impl AsyncRead + Unpin) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    // A reset ends it as well.
    let read = stream.read_to_end(&mut all);
    let closed = tokio::time::timeout(PATIENCE, read).await.is_ok();
    closed.then_some(all)
}

/// Sends bytes, and nothing after them.
pub(crate) async fn talk<S>(stream: S, bytes: &[u8]) -> Option<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (read, mut write) = tokio::io::split(stream);
    // Fails if the server has had enough before all of it was sent.
    let _ = write.write_all(bytes).await;
    let _ = write.flush().await;
    answer(read).await
}

/// The number in the first line of an answer; none if there is no such line.
pub(crate) fn status(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let rest = text.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// What a stock client asks first, as all do: HTTP/1.1 in cleartext, on a connection of its own.
pub(crate) async fn page(address: SocketAddr) {
    check_page(TcpStream::connect(address).await.unwrap()).await;
}

/// The same on any stream.
pub(crate) async fn check_page(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let request = b"GET /guix/nix-cache-info HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answered = talk(stream, request).await.expect("it is answered");
    let shown = String::from_utf8_lossy(&answered);
    assert_eq!(status(&answered), Some(200), "{shown}");
    assert!(shown.contains("StoreDir: /gnu/store\n"), "{shown}");
}

/// A connection that speaks TLS.
pub(crate) async fn tls(address: SocketAddr, ca: &Path, alpn: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}
