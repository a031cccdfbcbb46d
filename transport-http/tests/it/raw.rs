//! Bytes on a socket, as somebody might send them who is no client of ours.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes, and returns what comes back until the other side closes.
pub(crate) async fn talk(authority: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(authority).await.unwrap();
    // Fails if the server has had enough before all of it was sent.
    let _ = stream.write_all(bytes).await;
    rest(&mut stream).await
}

/// What comes until the other side closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset ends it as well.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8(all).unwrap()
}

/// A request that closes the connection behind it.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The number in the first line.
pub(crate) fn status(response: &str) -> u16 {
    response
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no response: {response:?}"))
}

/// The message of the refusal in a response.
pub(crate) fn refusal(response: &str) -> grange_interfaces::Refusal {
    let line = response.lines().last().unwrap();
    grange_transport_http::decode_reply(line.as_bytes())
        .unwrap()
        .unwrap_err()
}
