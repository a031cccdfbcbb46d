//! A site's pages, as clients ask for them and as they do not.
//!
//! Over TCP plain requests are answered without hyper; over a Unix socket hyper answers all: both have to say the same.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_interfaces::{FilePart, Site, SiteBody, Stop, Stopper};
use grange_transport_http::{ListenAddress, Server, ServerConfig};
use http::header::{CONTENT_LENGTH, ETAG};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::raw::status;
use crate::support::server_config;

/// Bytes of the large file: more than all buffers on the way hold together.
const LARGE: usize = 32 << 20;

#[derive(Debug)]
struct Pages {
    asked: Notify,
    go_on: Notify,
}

fn pieces(texts: &'static [&'static str]) -> SiteBody {
    SiteBody::Stream(
        stream::iter(texts.iter().map(|it| Ok(Bytes::from_static(it.as_bytes())))).boxed(),
    )
}

fn file(bytes: &[u8], from: usize, to: usize) -> SiteBody {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    SiteBody::File(FilePart {
        file,
        range: from as u64..to as u64,
    })
}

#[async_trait]
impl Site for Pages {
    async fn get(&self, head: &Parts) -> Response<SiteBody> {
        let length = |length: u64| Some(HeaderValue::from(length));
        let (status, length, body) = match head.uri.path() {
            "/bytes" => (200, None, SiteBody::Bytes("some bytes".into())),
            "/nothing" => (200, None, SiteBody::Bytes(Bytes::new())),
            "/long" => (200, None, SiteBody::Bytes(vec![b'x'; 100_000].into())),
            "/file" => (200, None, file(b"a file's bytes", 2, 6)),
            "/empty" => (200, None, file(b"", 0, 0)),
            "/large" => (200, None, file(&vec![b'l'; LARGE], 0, LARGE)),
            "/gone" => (200, None, file(b"short", 0, 100)),
            "/stream" => (200, length(9), pieces(&["a ", "", "stream!"])),
            "/chunks" => (200, None, pieces(&["in ", "", "chunks"])),
            "/less" => (200, length(9), pieces(&["less"])),
            "/same" => (304, None, SiteBody::Bytes(Bytes::new())),
            "/header" => {
                let said = head.headers.get("x-said").unwrap().clone();
                let body = SiteBody::Bytes(Bytes::copy_from_slice(said.as_bytes()));
                (200, None, body)
            }
            "/slow" => {
                self.asked.notify_one();
                self.go_on.notified().await;
                (200, None, SiteBody::Bytes("at last".into()))
            }
            "/panic" => panic!("as it is told to"),
            path => (404, None, SiteBody::Bytes(path.to_owned().into())),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let headers = response.headers_mut();
        headers.insert(ETAG, HeaderValue::from_static("\"tag\""));
        headers.extend(length.map(|length| (CONTENT_LENGTH, length)));
        response
    }
}

struct Serving {
    site: Arc<Pages>,
    address: ListenAddress,
    stopper: Stopper,
    serving: JoinHandle<()>,
}

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl Serving {
    async fn start(address: &str, config: ServerConfig) -> Self {
        let server = Server::bind(address.parse().unwrap(), config)
            .await
            .unwrap();
        let site = Arc::new(Pages {
            asked: Notify::new(),
            go_on: Notify::new(),
        });
        let (stopper, stop) = Stop::new();
        Self {
            address: server.local_addr().clone(),
            serving: tokio::spawn(server.serve_site(Arc::<Pages>::clone(&site), stop)),
            stopper,
            site,
        }
    }

    async fn tcp(config: ServerConfig) -> Self {
        Self::start("127.0.0.1:0", config).await
    }

    async fn connect(&self) -> Box<dyn Io> {
        match &self.address {
            ListenAddress::Unix(path) => Box::new(UnixStream::connect(path).await.unwrap()),
            other => Box::new(TcpStream::connect(other.to_string()).await.unwrap()),
        }
    }

    /// What comes back until the server closes.
    async fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // Fails if the server has had enough before all of it was sent.
        let _ = stream.write_all(bytes).await;
        rest(&mut stream).await
    }

    async fn stop(mut self) {
        self.stopper.stop();
        self.serving.await.unwrap();
    }
}

async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8(all).unwrap()
}

/// A plain request that ends the connection.
fn last(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

/// Its lines, sorted, without those that differ from time to time; and its body.
fn parts_of(response: &str) -> (Vec<String>, String) {
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((response, ""));
    let lines = head.lines().map(str::to_ascii_lowercase);
    let mut lines: Vec<_> = lines.filter(|line| !line.starts_with("date: ")).collect();
    lines.sort();
    (lines, body.to_owned())
}

#[tokio::test]
async fn both_ways_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", directory.path().join("socket").display());
    let servers = [
        Serving::tcp(ServerConfig::default()).await,
        Serving::start(&socket, ServerConfig::default()).await,
    ];
    let mut requests = Vec::new();
    for path in [
        "/bytes",
        "/nothing",
        "/long",
        "/file",
        "/empty",
        "/stream",
        "/same",
        "/other",
        "/a%20b?c=d",
        "//x",
    ] {
        for method in ["GET", "HEAD"] {
            requests.push((last(method, path), if path == "/same" { 304 } else { 0 }));
        }
    }
    requests.push((last("GET", "/chunks"), 200));
    let close = "connection: close\r\n";
    let header = format!("x: {}\r\n", "y".repeat(17 << 10));
    let many: String = (0..101).map(|it| format!("x{it}: y\r\n")).collect();
    let some: String = (0..60).map(|it| format!("x{it}: y\r\n")).collect();
    let long = format!("/{}", "y".repeat(300));
    for (request, expected) in [
        (last("POST", "/bytes"), 405),
        (last("DELETE", "/bytes"), 405),
        (last("GET", &long), 414),
        (
            format!("GET /bytes HTTP/1.1\r\nhost: x\r\n{close}{header}\r\n"),
            431,
        ),
        (
            format!("GET /bytes HTTP/1.1\r\nhost: x\r\n{close}{many}\r\n"),
            431,
        ),
        (
            format!("GET /bytes HTTP/1.1\r\nhost: x\r\n{close}{some}\r\n"),
            200,
        ),
        (format!("GET /bytes HTTP/1.1\r\n{close}\r\n"), 400),
        (
            format!("GET /bytes HTTP/1.1\r\nhost: x\r\nhost: x\r\n{close}\r\n"),
            400,
        ),
        ("GET /bytes HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("HEAD /bytes HTTP/1.0\r\n\r\n".to_owned(), 200),
        (
            format!("GET http://x/bytes HTTP/1.1\r\nhost: x\r\n{close}\r\n"),
            200,
        ),
        (
            format!("GET /bytes HTTP/1.1\r\nhost: x\r\n{close}content-length: 4\r\n\r\nbody"),
            200,
        ),
        (
            format!(
                "GET /bytes HTTP/1.1\r\nhost: x\r\n{close}content-length: 4\r\ncontent-length: 5\r\n\r\nbody"
            ),
            400,
        ),
        (
            format!(
                "GET /bytes HTTP/1.1\r\nhost: x\r\n{close}transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
            ),
            200,
        ),
        (
            format!("GET /bytes HTTP/1.1\r\nhost: x\r\n{close}a : b\r\n\r\n"),
            400,
        ),
        (
            format!("GET /header HTTP/1.1\r\nhost: x\r\n{close}x-said: \u{e4} b \r\n\r\n"),
            200,
        ),
        (
            format!("\r\nGET /bytes HTTP/1.1\r\nhost: x\r\n{close}\r\n"),
            200,
        ),
        ("rubbish\r\n\r\n".to_owned(), 400),
    ] {
        requests.push((request, expected));
    }
    for (request, expected) in requests {
        let shown = &request[..request.len().min(100)];
        let mut answers = Vec::new();
        for server in &servers {
            answers.push(parts_of(&server.talk(request.as_bytes()).await));
        }
        assert_eq!(answers[0], answers[1], "{shown}");
        assert!(!answers[0].0.is_empty(), "{shown}");
        if expected != 0 {
            let wanted = format!("{expected} ");
            let right = |line: &String| {
                line.starts_with(&format!("http/1.1 {wanted}"))
                    || line.starts_with(&format!("http/1.0 {wanted}"))
            };
            assert!(answers[0].0.iter().any(right), "{shown}: {answers:?}");
        }
    }
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test]
async fn bodies_are_what_they_are() {
    let server = Serving::tcp(ServerConfig::default()).await;
    for (path, body) in [
        ("/bytes", "some bytes"),
        ("/file", "file"),
        ("/stream", "a stream!"),
        ("/chunks", "3\r\nin \r\n6\r\nchunks\r\n0\r\n\r\n"),
        ("/same", ""),
        ("/empty", ""),
    ] {
        let response = server.talk(last("GET", path).as_bytes()).await;
        assert_eq!(parts_of(&response).1, body, "{path}");
        let response = server.talk(last("HEAD", path).as_bytes()).await;
        assert_eq!(parts_of(&response).1, "", "{path}");
        assert!(response.contains("etag: \"tag\""), "{response}");
    }
    let large = server.talk(last("GET", "/large").as_bytes()).await;
    assert_eq!(parts_of(&large).1.len(), LARGE);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_serves_many_requests_in_order() {
    let server = Serving::tcp(ServerConfig::default()).await;
    let plain = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    // All at once, with an odd one among them, behind which hyper goes on.
    let odd = "GET /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n??";
    let all = [
        &*plain("/bytes"),
        &plain("/file"),
        "HEAD /long HTTP/1.1\r\nhost: x\r\n\r\n",
        &plain("/x"),
        odd,
        &plain("/y"),
        &last("GET", "/long"),
    ]
    .concat();
    for piece in [all.len(), 7] {
        let mut stream = server.connect().await;
        for bytes in all.as_bytes().chunks(piece) {
            stream.write_all(bytes).await.unwrap();
            tokio::task::yield_now().await;
        }
        let said = rest(&mut stream).await;
        let places: Vec<_> = [
            "some bytes",
            "\r\n\r\nfile",
            "content-length: 100000",
            "\r\n\r\n/x",
            "a stream!",
            "\r\n\r\n/y",
            "xxx",
        ]
        .map(|text| {
            said.find(text)
                .unwrap_or_else(|| panic!("{text:?} is missing"))
        })
        .to_vec();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 7);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_breaks_off_does_not_look_whole() {
    let server = Serving::tcp(ServerConfig::default()).await;
    for path in ["/less", "/gone", "/panic"] {
        // The connection would stay, were all well.
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let said = server.talk(request.as_bytes()).await;
        assert!(parts_of(&said).1.len() < 9, "{path}: {said}");
    }
    assert_eq!(
        status(&server.talk(last("GET", "/bytes").as_bytes()).await),
        200
    );
    server.stop().await;
}

#[tokio::test]
async fn who_is_slow_is_cut() {
    let short = server_config(|config| {
        config.limits.header_time = Duration::from_millis(100);
        config.limits.idle_time = Duration::from_millis(100);
        config.limits.stall_time = Duration::from_millis(100);
        config.limits.connections = 1;
    });
    let server = Serving::tcp(short).await;
    let whole = "GET /bytes HTTP/1.1\r\nhost: x\r\n\r\n";
    // Each of these waits for the server to close.
    for (request, answers) in [
        (String::new(), 0),
        ("GET /by".to_owned(), 0),
        ("GET /bytes HTTP/1.1\r\nhost: ".to_owned(), 0),
        (whole.to_owned(), 1),
        (format!("{whole}{whole}GET"), 2),
        (
            format!("GET /bytes HTTP/1.1\r\nx: {}", "y".repeat(20_000)),
            0,
        ),
    ] {
        let said = server.talk(request.as_bytes()).await;
        assert_eq!(said.matches("some bytes").count(), answers, "{request}");
    }
    // One that reads nothing of a large answer; it keeps its end open.
    let mut stream = server.connect().await;
    let large = "GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(large.as_bytes()).await.unwrap();
    // The only place is free again once that one was cut.
    while status(&server.talk(last("GET", "/bytes").as_bytes()).await) != 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(rest(&mut stream).await.len() < LARGE);
    server.stop().await;
}

#[tokio::test]
async fn requests_too_many_are_told_so() {
    let config = server_config(|config| config.limits.calls = 1);
    let server = Serving::tcp(config).await;
    let mut first = server.connect().await;
    first
        .write_all(last("GET", "/slow").as_bytes())
        .await
        .unwrap();
    server.site.asked.notified().await;
    let said = server.talk(last("GET", "/bytes").as_bytes()).await;
    assert_eq!(status(&said), 503);
    assert!(said.contains("retry-after: 1\r\n"), "{said}");
    server.site.go_on.notify_one();
    assert!(rest(&mut first).await.ends_with("at last"));
    assert_eq!(
        status(&server.talk(last("GET", "/bytes").as_bytes()).await),
        200
    );
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_answers_first() {
    let mut server = Serving::tcp(ServerConfig::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /bytes HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    let mut busy = server.connect().await;
    // It would be kept open.
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    server.site.asked.notified().await;
    server.stopper.stop();
    rest(&mut idle).await;
    server.site.go_on.notify_one();
    let said = rest(&mut busy).await;
    assert!(
        said.contains("connection: close") && said.ends_with("at last"),
        "{said}"
    );
    server.serving.await.unwrap();
}
