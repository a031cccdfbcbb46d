//! The head of a request.

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use crate::Limits;

/// Headers of a plain request, at most.
const HEADERS: usize = 32;

/// What the bytes of a connection are so far.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for the time of an answer"
)]
pub(super) enum Head {
    /// The beginning of a plain request, as far as it goes.
    Partial,
    /// A plain request.
    Plain(Plain),
    /// Something else: it is hyper's.
    Odd,
}

/// A GET or HEAD of HTTP/1.1 without a body, for a path.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) parts: Parts,
    /// Bytes that it takes.
    pub(super) length: usize,
    /// Whether the client wants no further answer on this connection.
    pub(super) close: bool,
}

/// Reads a head. No longer one is waited for than the limits allow; which of them is exceeded is said by who answers.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Head {
    let begins = |word: &[u8]| bytes.starts_with(word) || word.starts_with(bytes);
    if !begins(b"GET /") && !begins(b"HEAD /") {
        return Head::Odd;
    }
    if !has_end(bytes) {
        let longest = limits.header_bytes + limits.path_bytes;
        return if bytes.len() > longest {
            Head::Odd
        } else {
            Head::Partial
        };
    }
    match plain(bytes) {
        Some(plain) => Head::Plain(plain),
        None => Head::Odd,
    }
}

/// Whether there is an empty line; a line may end without a carriage return (RFC 9112, 2.2).
fn has_end(bytes: &[u8]) -> bool {
    let ends = |rest: &[u8]| rest.starts_with(b"\n") || rest.starts_with(b"\r\n");
    // From behind: most often a request ends where the bytes do.
    if bytes.ends_with(b"\r\n\r\n") {
        return true;
    }
    let mut lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    lines.any(|(at, _)| ends(&bytes[at + 1..]))
}

fn plain(bytes: &[u8]) -> Option<Plain> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) | Err(_) => return None,
    };
    if request.version != Some(1) {
        return None;
    }
    let mut map = HeaderMap::with_capacity(request.headers.len());
    let mut close = false;
    for header in request.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        if [CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE].contains(&name) {
            return None;
        }
        if name == CONNECTION {
            if header.value.eq_ignore_ascii_case(b"close") {
                close = true;
            } else if !header.value.eq_ignore_ascii_case(b"keep-alive") {
                return None;
            }
        }
        map.append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = match request.method? {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        _ => return None,
    };
    parts.uri = Uri::try_from(request.path?).ok()?;
    parts.version = Version::HTTP_11;
    parts.headers = map;
    Some(Plain {
        parts,
        length,
        close,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Head {
        read(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn plain_requests_are_read() {
        let first = "GET /guix/x%2by HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\n\r\n";
        let Head::Plain(plain) = of(&format!("{first}GET /more")) else {
            panic!("it is plain")
        };
        assert_eq!((plain.length, plain.close), (first.len(), false));
        assert_eq!(plain.parts.uri.path(), "/guix/x%2by");
        assert_eq!(plain.parts.headers.get_all("x").iter().count(), 2);
        for (request, closes) in [
            ("HEAD / HTTP/1.1\nHost: a\n\n", false),
            ("GET //x?y HTTP/1.1\r\nConnection: Close\r\n\r\n", true),
            ("GET /x HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n", false),
        ] {
            let Head::Plain(plain) = of(request) else {
                panic!("{request}")
            };
            assert_eq!((plain.close, plain.length), (closes, request.len()));
        }
    }

    #[test]
    fn beginnings_are_waited_for() {
        let whole = "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n";
        for length in 0..whole.len() {
            assert!(matches!(of(&whole[..length]), Head::Partial), "{length}");
        }
        let long = format!("GET /x HTTP/1.1\r\nx: {}", "y".repeat(16 << 10));
        assert!(matches!(of(&long), Head::Partial));
        let longer = format!("{long}{}", "y".repeat(256));
        assert!(matches!(of(&longer), Head::Odd));
    }

    #[test]
    fn everything_else_is_odd() {
        let many: String = (0..40).map(|number| format!("x{number}: y\r\n")).collect();
        for text in [
            "P",
            "\r\n",
            "get / HTTP/1.1\r\n",
            "GET http://a/x HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
            "GET /\u{1} HTTP/1.1\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &format!("GET / HTTP/1.1\r\n{many}\r\n"),
        ] {
            assert!(matches!(of(text), Head::Odd), "{text:?}");
        }
    }
}
