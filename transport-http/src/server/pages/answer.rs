//! Answers, as bytes: RFC 9112.

use std::io::{Error, ErrorKind, Result};
use std::time::SystemTime;

use futures::StreamExt;
use grange_interfaces::{Body, SiteBody};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Response, StatusCode};

use super::send::Receiver;

/// Bytes up to which a body is copied behind its head: one call of the kernel less.
const COPIED: usize = 32 << 10;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// After so many bytes.
    Length(u64),
    /// Behind an empty chunk.
    Chunks,
    /// There is none, and never was.
    None,
}

/// Sends an answer; `close` if it is the last one on its connection. `buffer` is room for its head, to be used again.
pub(super) async fn send(
    receiver: &Receiver<'_>,
    response: Response<SiteBody>,
    is_head: bool,
    close: bool,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let (parts, body) = response.into_parts();
    let framing = framing(&parts, &body)?;
    buffer.clear();
    print_head(buffer, &parts, framing, close);
    if is_head || matches!(framing, Framing::None | Framing::Length(0)) {
        return receiver.bytes(buffer, false).await;
    }
    match body {
        SiteBody::Bytes(bytes) if bytes.len() <= COPIED => {
            buffer.extend_from_slice(&bytes);
            receiver.bytes(buffer, false).await
        }
        SiteBody::Bytes(bytes) => {
            receiver.bytes(buffer, true).await?;
            receiver.bytes(&bytes, false).await
        }
        SiteBody::File(part) => {
            receiver.bytes(buffer, true).await?;
            receiver.file(part).await
        }
        SiteBody::Stream(body) => {
            receiver.bytes(buffer, false).await?;
            match framing {
                Framing::Length(length) => counted(receiver, body, length).await,
                _ => chunked(receiver, body, buffer).await,
            }
        }
    }
}

fn framing(parts: &Parts, body: &SiteBody) -> Result<Framing> {
    // RFC 9110, 6.4.1.
    let status = parts.status;
    if status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Ok(Framing::None);
    }
    if let Some(length) = body.length() {
        return Ok(Framing::Length(length));
    }
    let Some(said) = parts.headers.get(CONTENT_LENGTH) else {
        return Ok(Framing::Chunks);
    };
    let length = said.to_str().ok().and_then(|digits| digits.parse().ok());
    let wrong = || {
        Error::new(
            ErrorKind::InvalidData,
            "the site gave a length that is none",
        )
    };
    length.map(Framing::Length).ok_or_else(wrong)
}

fn print_head(to: &mut Vec<u8>, parts: &Parts, framing: Framing, close: bool) {
    let status = parts.status;
    let mut line = |pieces: [&[u8]; 4]| pieces.iter().for_each(|it| to.extend_from_slice(it));
    let reason = status.canonical_reason().unwrap_or_default().as_bytes();
    line([b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason]);
    for (name, value) in &parts.headers {
        // These are between the server and the client.
        if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
            line([b"\r\n", name.as_ref(), b": ", value.as_bytes()]);
        }
    }
    if !parts.headers.contains_key(DATE) {
        let date = httpdate::fmt_http_date(SystemTime::now());
        line([b"\r\ndate: ", date.as_bytes(), b"", b""]);
    }
    match framing {
        Framing::Length(length) => {
            line([
                b"\r\ncontent-length: ",
                length.to_string().as_bytes(),
                b"",
                b"",
            ]);
        }
        Framing::Chunks => line([b"\r\ntransfer-encoding: chunked", b"", b"", b""]),
        Framing::None => {}
    }
    if close {
        line([b"\r\nconnection: close", b"", b"", b""]);
    }
    line([b"\r\n\r\n", b"", b"", b""]);
}

/// As many bytes as were announced, or the connection breaks: a client would take others for the next answer.
async fn counted(receiver: &Receiver<'_>, mut body: Body, length: u64) -> Result<()> {
    let mut left = length;
    while let Some(piece) = body.next().await {
        let piece = piece?;
        let wrong = || Error::new(ErrorKind::InvalidData, "a body is longer than was said");
        left = left.checked_sub(piece.len() as u64).ok_or_else(wrong)?;
        receiver.bytes(&piece, left > 0).await?;
    }
    if left > 0 {
        let what = format!("{left} bytes of a body of {length} are not there");
        return Err(Error::new(ErrorKind::UnexpectedEof, what));
    }
    Ok(())
}

async fn chunked(receiver: &Receiver<'_>, mut body: Body, buffer: &mut Vec<u8>) -> Result<()> {
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if piece.is_empty() {
            continue;
        }
        buffer.clear();
        buffer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        buffer.extend_from_slice(&piece);
        buffer.extend_from_slice(b"\r\n");
        receiver.bytes(buffer, false).await?;
    }
    receiver.bytes(b"0\r\n\r\n", false).await
}
