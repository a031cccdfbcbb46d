//! A server that says what it is told to.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt, stream};
use grange_upstream::ServerUrl;
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a server answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Is(Bytes),
    Status(u16),
    To(String),
    With(&'static str, &'static str, Bytes),
    /// These bytes, and the end of the connection is their end.
    Unframed(Bytes),
    /// Nothing, ever.
    Silence,
    /// These bytes, and then nothing, ever.
    Stalls(Bytes),
    /// These bytes, and then the connection ends.
    Breaks(Bytes),
    /// These bytes again and again.
    Endless(Bytes),
}

type Script = dyn Fn(&str, usize) -> Reply + Send + Sync;

/// A running server; it ends with the runtime.
#[derive(Clone)]
pub(crate) struct Fake {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Fake {
    /// A server that answers by path, and by how often that was asked for before.
    pub(crate) async fn start(
        script: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::run(Arc::new(script), None).await
    }

    /// The same over TLS.
    pub(crate) async fn start_tls(
        tls: TlsAcceptor,
        script: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::run(Arc::new(script), Some(tls)).await
    }

    /// A server of files; all else is not there.
    pub(crate) async fn of_files(files: Vec<(String, Reply)>) -> Self {
        let files: BTreeMap<String, Reply> = files.into_iter().collect();
        Self::start(move |path, _| files.get(path).cloned().unwrap_or(Reply::Status(404))).await
    }

    async fn run(script: Arc<Script>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            scheme: if tls.is_some() { "https" } else { "http" },
            asked: Arc::default(),
        };
        let asked = Arc::clone(&fake.asked);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (script, asked, tls) = (Arc::clone(&script), Arc::clone(&asked), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let path = request.uri().path_and_query().unwrap().to_string();
                        let times = {
                            let mut asked = asked.lock().unwrap();
                            let times = asked.entry(path.clone()).or_default();
                            *times += 1;
                            *times - 1
                        };
                        let version = request.version();
                        *asked
                            .lock()
                            .unwrap()
                            .entry(format!("{version:?}"))
                            .or_default() += 1;
                        answer(script(&path, times))
                    });
                    let http = auto::Builder::new(TokioExecutor::new());
                    // How a connection ends is the client's business.
                    let _ = match tls {
                        None => http.serve_connection(TokioIo::new(socket), service).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(stream) => {
                                http.serve_connection(TokioIo::new(stream), service).await
                            }
                            Err(_) => return,
                        },
                    };
                });
            }
        });
        fake
    }

    /// Where it is.
    pub(crate) fn url(&self) -> ServerUrl {
        self.text("").parse().unwrap()
    }

    /// Where something on it is.
    pub(crate) fn text(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// How often a path, or a version of HTTP, was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.asked
            .lock()
            .unwrap()
            .get(path)
            .copied()
            .unwrap_or_default()
    }
}

async fn answer(reply: Reply) -> io::Result<Response<UnsyncBoxBody<Bytes, io::Error>>> {
    let (mut status, mut header, mut version) = (200, None, Version::HTTP_11);
    let body = match reply {
        Reply::Is(bytes) => stream::iter([Ok(bytes)]).boxed(),
        Reply::Status(code) => {
            status = code;
            stream::iter([Ok("<html>no</html>".into())]).boxed()
        }
        Reply::To(location) => {
            status = 302;
            header = Some(("location", location));
            stream::empty().boxed()
        }
        Reply::With(name, value, bytes) => {
            header = Some((name, value.to_owned()));
            stream::iter([Ok(bytes)]).boxed()
        }
        Reply::Unframed(bytes) => {
            version = Version::HTTP_10;
            let start = stream::once(async {
                // Not all at once, or its length would be known.
                tokio::task::yield_now().await;
                Ok(bytes)
            });
            start.boxed()
        }
        Reply::Silence => std::future::pending().await,
        Reply::Stalls(bytes) => stream::iter([Ok(bytes)]).chain(stream::pending()).boxed(),
        Reply::Breaks(bytes) => {
            let end = async {
                // What was there before is sent meanwhile.
                tokio::task::yield_now().await;
                Err(io::Error::other("it breaks off"))
            };
            stream::iter([Ok(bytes)]).chain(stream::once(end)).boxed()
        }
        Reply::Endless(bytes) => stream::repeat_with(move || Ok(bytes.clone())).boxed(),
    };
    let mut response = Response::builder().status(status).version(version);
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    let body = StreamBody::new(body.map(|piece| piece.map(Frame::data)));
    Ok(response.body(body.boxed_unsync()).unwrap())
}
