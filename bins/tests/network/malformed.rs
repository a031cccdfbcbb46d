//! What no client of ours sends, in cleartext and under TLS, to programs that run: each is answered
//! with a clear refusal or a closed connection, and the next honest one is served.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use grange_bins::connect::client_config;
use grange_interfaces::message::{Message, VERSIONS};
use grange_interfaces::{Endpoint, Peer};
use grange_transport_http::HttpEndpoint;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

use crate::farm::{Farm, Setup, alone, free_address, runtime};
use crate::raw::{answer, check_page, page, status, talk, tls};

/// How a call begins.
const CALL: &str = "POST /v1/call";
/// How a fetch does.
const FETCH: &str = "GET /guix/nix-cache-info";

/// What is sent, and the statuses that may answer it; with none of them the connection is closed.
fn of_http1(request: &str) -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let text = |text: String| text.into_bytes();
    let head = |rest: &str| text(format!("{request} HTTP/1.1\r\nhost: x\r\n{rest}"));
    vec![
        ("rubbish", text("\0\0\0\0 rubbish\r\n\r\n".into()), &[400]),
        ("no end", text("x".repeat(1 << 20)), &[400, 414, 431]),
        (
            "a long header",
            head(&format!("x: {}\r\n\r\n", "y".repeat(200 << 10))),
            &[431],
        ),
        (
            "many headers",
            head(&format!("{}\r\n", "x: y\r\n".repeat(5000))),
            &[431],
        ),
        (
            "a long path",
            text(format!(
                "GET /{} HTTP/1.1\r\nhost: x\r\n\r\n",
                "y".repeat(100 << 10)
            )),
            &[414, 431],
        ),
        ("a header without a name", head(": y\r\n\r\n"), &[400]),
        (
            "a space before the colon",
            head("content-length : 5\r\n\r\n"),
            &[400],
        ),
        (
            "a folded header",
            head("x: y\r\n z\r\nconnection: close\r\n\r\n"),
            &[400],
        ),
        ("a zero byte in a header", head("x: \0\r\n\r\n"), &[400]),
        // Smuggling: what a proxy before us and we might cut in different places.
        (
            "a length and chunks",
            head(
                "content-length: 8\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            ),
            &[400],
        ),
        (
            "chunks and a length",
            head(
                "transfer-encoding: chunked\r\ncontent-length: 8\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            ),
            &[400],
        ),
        (
            "two lengths",
            head("content-length: 8\r\ncontent-length: 9\r\n\r\n\"counts\"x"),
            &[400],
        ),
        (
            "a list of lengths",
            head("content-length: 8, 9\r\n\r\n\"counts\"x"),
            &[400],
        ),
        (
            "a length with a sign",
            head("content-length: +8\r\n\r\n\"counts\""),
            &[400],
        ),
        (
            "a negative length",
            head("content-length: -1\r\n\r\n"),
            &[400],
        ),
        (
            "a length beyond all",
            head("content-length: 99999999999999999999\r\n\r\n"),
            &[400, 413],
        ),
        (
            "an unknown encoding",
            head("transfer-encoding: gzip\r\n\r\n"),
            &[400, 501],
        ),
        (
            "chunked twice",
            head("connection: close\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "chunked not last",
            head("transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "chunked in HTTP/1.0",
            text(format!(
                "{request} HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            )),
            &[400],
        ),
        (
            "a chunk without a number",
            head("transfer-encoding: chunked\r\n\r\nzz\r\n\r\n"),
            &[400],
        ),
        (
            "a chunk beyond all",
            head("transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
            &[400],
        ),
        (
            "a chunk's endless extension",
            head(&format!(
                "transfer-encoding: chunked\r\n\r\n4;{}",
                "x".repeat(1 << 20)
            )),
            &[400],
        ),
        (
            "endless trailers",
            head(&format!(
                "transfer-encoding: chunked\r\n\r\n0\r\n{}",
                "x: y\r\n".repeat(50_000)
            )),
            &[400, 431],
        ),
        (
            "bare line feeds",
            text(format!(
                "{request} HTTP/1.1\nhost: x\nconnection: close\ncontent-length: 8\n\n\"counts\""
            )),
            &[400, 401, 403],
        ),
        (
            "another version",
            text("GET / HTTP/7.3\r\n\r\n".into()),
            &[400, 505],
        ),
        (
            "a tunnel",
            text("CONNECT example.org:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".into()),
            &[400, 404, 405],
        ),
        (
            "an upgrade",
            head(
                "connection: upgrade, close\r\nupgrade: h2c\r\nhttp2-settings: x\r\ncontent-length: 8\r\n\r\n\"counts\"",
            ),
            &[400, 401, 403],
        ),
        (
            "JSON without an end",
            head(&format!(
                "connection: close\r\ncontent-length: 200000\r\n\r\n{}",
                "[".repeat(200_000)
            )),
            &[400],
        ),
        (
            "no UTF-8",
            [
                head("connection: close\r\ncontent-length: 4\r\n\r\n"),
                vec![0xff, 0xfe, b'"', b'\n'],
            ]
            .concat(),
            &[400],
        ),
    ]
}

/// Of these the head is in order, and a page is not interested in a body, which is what is odd: it is read away, or the
/// connection closed. With a length and chunks, the chunks count, and the connection is closed (RFC 9112, 6.1).
const BODIES: [&str; 11] = [
    "a length and chunks",
    "chunks and a length",
    "chunked twice",
    "a chunk without a number",
    "a chunk beyond all",
    "a chunk's endless extension",
    "endless trailers",
    "bare line feeds",
    "an upgrade",
    "JSON without an end",
    "no UTF-8",
];

/// The same to who shows pages, who wants GET or HEAD; and what is odd to them alone.
fn of_pages() -> Vec<(&'static str, Vec<u8>, Vec<u16>)> {
    let calls = of_http1(CALL).into_iter().map(|(what, bytes, statuses)| {
        let statuses = [statuses, &[405]].concat();
        (what, bytes, statuses)
    });
    let fetches = of_http1(FETCH).into_iter().map(|(what, bytes, statuses)| {
        let mut statuses = statuses.to_vec();
        if BODIES.contains(&what) {
            statuses.push(200);
        }
        (what, bytes, statuses)
    });
    let head = |rest: &str| format!("{FETCH} HTTP/1.1\r\n{rest}").into_bytes();
    let own: [(&str, Vec<u8>, &[u16]); 8] = [
        ("no host", head("connection: close\r\n\r\n"), &[400]),
        (
            "two hosts",
            head("connection: close\r\nhost: x\r\nhost: y\r\n\r\n"),
            &[400],
        ),
        (
            "a bare carriage return",
            head("host: x\rx: y\r\nconnection: close\r\n\r\n"),
            &[400],
        ),
        (
            "a head of carriage returns",
            head(&"\r".repeat(100_000)),
            &[400, 431],
        ),
        (
            "a head of line feeds in the path",
            format!("GET /\n\n{}", "\n".repeat(100_000)).into_bytes(),
            &[400],
        ),
        (
            "a path with a zero byte",
            b"GET /guix/\0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
            &[400],
        ),
        (
            "a path out of the house",
            b"GET /guix/../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
            &[404],
        ),
        (
            "a range beyond all",
            head("host: x\r\nrange: bytes=99999999999999999999-\r\nconnection: close\r\n\r\n"),
            &[200, 400, 416],
        ),
    ];
    let own = own.map(|(what, bytes, statuses)| (what, bytes, statuses.to_vec()));
    calls.chain(fetches).chain(own).collect()
}

/// Prefaces and frames (RFC 9113): all of them end the connection.
fn of_http2() -> Vec<(&'static str, Vec<u8>)> {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let frames = |frames: &[u8]| [&preface[..], &settings, frames].concat();
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let reset_storm: Vec<u8> = (0..20_000u32)
        .flat_map(|n| {
            let stream = (2 * n + 1).to_be_bytes();
            // Headers by their indices: POST, http, /. Then it is canceled.
            let headers = [&[0, 0, 3, 1, 5][..], &stream, &[0x83, 0x86, 0x84]].concat();
            let reset = [&[0, 0, 4, 3, 0][..], &stream, &[0, 0, 0, 8]].concat();
            [headers, reset].concat()
        })
        .collect();
    let continued = [
        &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83][..],
        &[0, 0, 1, 9, 0, 0, 0, 0, 1, 0x86].repeat(100_000),
    ]
    .concat();
    vec![
        (
            "half a preface and rubbish",
            b"PRI * HTTP/2.0\r\n\r\nrubbish, rubbish".to_vec(),
        ),
        ("no settings", [&preface[..], &ping].concat()),
        (
            "a frame beyond all",
            frames(&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]),
        ),
        (
            "data without a stream",
            frames(&[0, 0, 1, 0, 0, 0, 0, 0, 0, 1]),
        ),
        (
            "an even stream",
            frames(&[0, 0, 3, 1, 5, 0, 0, 0, 2, 0x83, 0x86, 0x84]),
        ),
        (
            "headers that are none",
            frames(&[0, 0, 2, 1, 5, 0, 0, 0, 1, 0xff, 0xff]),
        ),
        (
            "a window of nothing",
            frames(&[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ),
        (
            "settings of an odd length",
            frames(&[0, 0, 5, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
        ),
        (
            "a continuation of nothing",
            frames(&[0, 0, 1, 9, 4, 0, 0, 0, 1, 0x83]),
        ),
        ("headers without an end", frames(&continued)),
        ("streams that are canceled", frames(&reset_storm)),
    ]
}

fn of_tls() -> Vec<(&'static str, Vec<u8>)> {
    let hello = |rest: &[u8]| [&[0x16, 3, 1][..], rest].concat();
    vec![
        (
            "cleartext",
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        ),
        (
            "HTTP/2 in cleartext",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        ),
        ("rubbish", vec![0xa5; 100_000]),
        ("a record beyond all", hello(&[0xff, 0xff, 1])),
        ("an empty record", hello(&[0, 0])),
        ("a hello beyond all", hello(&[0, 4, 1, 0xff, 0xff, 0xff])),
        (
            "a hello of zeros",
            hello(&[&[0, 44, 1, 0, 0, 40][..], &[0; 40]].concat()),
        ),
        (
            "data before the handshake",
            [&[0x17, 3, 3, 0, 32][..], &[7; 32]].concat(),
        ),
        ("an alert", vec![0x15, 3, 3, 0, 2, 2, 40]),
        ("SSL 2", vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10]),
        (
            "alerts without an end",
            [0x15, 3, 3, 0, 2, 1, 0].repeat(50_000),
        ),
    ]
}

#[test]
fn nothing_odd_is_taken_or_keeps_others_out() {
    let cases = of_http1(CALL).into_iter();
    let cases = cases.map(|(what, bytes, statuses)| (what, bytes, statuses.to_vec()));
    converse(Of::Calls, cases.collect());
}

#[test]
fn nor_is_it_where_pages_are_shown() {
    converse(Of::Pages, of_pages());
}

/// Has all these conversations, with a farm in cleartext and with one under TLS.
fn converse(of: Of, of_http1: Vec<(&'static str, Vec<u8>, Vec<u16>)>) {
    let _alone = alone();
    let (clear, secure) = (free_address(), free_address());
    let mut farms = [(clear, false), (secure, true)].map(|(address, tls)| {
        let mut setup = Setup {
            tls,
            ..Setup::default()
        };
        match of {
            Of::Calls => setup.listen.push(address.to_string()),
            Of::Pages => {
                setup.listen.push(free_address().to_string());
                setup.publish.push(address.to_string());
            }
        }
        Farm::new(setup)
    });
    let ca = farms[1].ca();
    let place = Place {
        of,
        clear,
        secure,
        ca,
    };
    runtime().block_on(all_at_once(Arc::new(place), of_http1));
    for farm in &mut farms {
        let log = farm.coordinator.log();
        assert!(!log.contains("panic"), "{log}");
        assert!(farm.coordinator.is_running());
    }
}

async fn all_at_once(place: Arc<Place>, of_http1: Vec<(&'static str, Vec<u8>, Vec<u16>)>) {
    // All at once: some are closed only when the time for headers is over.
    let mut all = JoinSet::new();
    for (what, bytes, statuses) in of_http1 {
        let place = Arc::clone(&place);
        all.spawn(async move {
            for answered in both(&place, "http/1.1", &bytes).await {
                check(what, answered, &statuses);
            }
        });
    }
    for (what, bytes) in of_http2() {
        for bytes in [bytes.clone(), [&bytes[..], b"more"].concat()] {
            let place = Arc::clone(&place);
            all.spawn(async move {
                for answered in both(&place, "h2", &bytes).await {
                    assert!(answered.is_some(), "{what}: it stays open");
                }
            });
        }
    }
    for (what, bytes) in of_tls() {
        let place = Arc::clone(&place);
        all.spawn(async move {
            let answered = talk(connect(place.secure).await, &bytes).await;
            let answered = answered.unwrap_or_else(|| panic!("{what}: it stays open"));
            // At most an alert (RFC 8446, 6).
            assert!(answered.len() <= 100, "{what}: {answered:?}");
            place.hello().await;
            let answered = talk(place.clear().await, &bytes).await;
            assert!(answered.is_some(), "{what}: it stays open");
            place.hello().await;
        });
    }
    let (mut cases, mut failed) = (0, 0);
    while let Some(ended) = all.join_next().await {
        cases += 1;
        failed += usize::from(ended.is_err());
    }
    assert_eq!(failed, 0, "of {cases}, told above");
    println!(
        "{:?}: {cases} odd conversations, each with and without TLS",
        place.of
    );
    // Under an honest handshake: what does not decrypt.
    let (mut stream, _) = place.secure("http/1.1").await.into_inner();
    stream
        .write_all(&[&[0x17, 3, 3, 0, 32][..], &[7; 32]].concat())
        .await
        .unwrap();
    let answered = answer(stream).await.expect("it is closed");
    assert!(status(&answered).is_none(), "{answered:?}");
    place.hello().await;
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Whom they are had with.
#[derive(Clone, Copy, Debug)]
enum Of {
    Calls,
    Pages,
}

/// Where both coordinators are.
struct Place {
    of: Of,
    clear: SocketAddr,
    secure: SocketAddr,
    ca: PathBuf,
}

impl Place {
    async fn clear(&self) -> TcpStream {
        connect(self.clear).await
    }

    async fn secure(&self, alpn: &str) -> TlsStream<TcpStream> {
        tls(self.secure, &self.ca, alpn).await
    }

    /// Honest requests.
    async fn hello(&self) {
        match self.of {
            Of::Calls => self.call().await,
            Of::Pages => {
                page(self.clear).await;
                check_page(self.secure("http/1.1").await).await;
            }
        }
    }

    async fn call(&self) {
        for url in [
            format!("http://{}", self.clear),
            format!("https://{}", self.secure),
        ] {
            let config = client_config(Some(&self.ca), "network test");
            let endpoint = HttpEndpoint::connect(url.parse().unwrap(), config).unwrap();
            let message = Message::Hello {
                versions: VERSIONS,
                software: "network test".to_owned(),
            };
            endpoint
                .call(&Peer::Anonymous, message, None)
                .await
                .unwrap();
        }
    }
}

/// What is answered in cleartext and under TLS; honest requests are answered after that.
async fn both(place: &Place, alpn: &str, bytes: &[u8]) -> [Option<Vec<u8>>; 2] {
    let clear = async { talk(place.clear().await, bytes).await };
    let secure = async { talk(place.secure(alpn).await, bytes).await };
    let (clear, secure) = tokio::join!(clear, secure);
    place.hello().await;
    [clear, secure]
}

fn check(what: &str, answer: Option<Vec<u8>>, statuses: &[u16]) {
    let answer = answer.unwrap_or_else(|| panic!("{what}: it stays open"));
    let shown = String::from_utf8_lossy(&answer).into_owned();
    match status(&answer) {
        Some(status) => assert!(statuses.contains(&status), "{what}: {shown}"),
        None => assert!(answer.is_empty(), "{what}: {shown}"),
    }
    // What was hidden behind a request is not answered.
    let answers = shown.match_indices("HTTP/1.1 ").filter(|(at, begin)| {
        let next = shown.as_bytes().get(at + begin.len());
        next.is_some_and(u8::is_ascii_digit)
    });
    assert_eq!(
        answers.count(),
        usize::from(!answer.is_empty()),
        "{what}: {shown}"
    );
}
