//! Requests.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, LOCATION, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::{Config, ConfigError, ServerUrl};

/// How many redirects to follow.
const REDIRECTS: usize = 5;

/// How many unused connections to keep to each host.
const IDLE: usize = 32;

/// How often to ask whether the other end of an HTTP/2 connection is there.
const PING: Duration = Duration::from_secs(15);

/// Why there is no answer that can be used.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// It is not there.
    Missing,
    /// The server was not reached, was too slow, or cannot now.
    Away(String),
    /// The server answers, but not this.
    Refused(String),
}

/// The client.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    software: HeaderValue,
    /// Whether the CAs were read.
    https: bool,
}

impl Http {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let https = config.servers.iter().any(ServerUrl::is_https);
        let mut roots = RootCertStore::empty();
        if https {
            read_cas(config, &mut roots)?;
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the suites of both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_time));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_time)
            .pool_max_idle_per_host(IDLE)
            .http2_keep_alive_interval(PING)
            .http2_adaptive_window(true)
            .build(connector);
        let software = HeaderValue::from_str(&config.software);
        let software = software.unwrap_or(HeaderValue::from_static("grange"));
        Ok(Self {
            client,
            software,
            https,
        })
    }

    /// The answer to a GET, after redirects.
    pub(crate) async fn get(
        &self,
        server: &ServerUrl,
        uri: Uri,
        time: Duration,
    ) -> Result<Response<Incoming>, HttpError> {
        match timeout(time, self.follow(server, uri)).await {
            Ok(answer) => answer,
            Err(_) => Err(too_slow(time)),
        }
    }

    /// All of a small file; none if it has more bytes than `most`.
    pub(crate) async fn read(
        &self,
        server: &ServerUrl,
        uri: Uri,
        most: usize,
        time: Duration,
    ) -> Result<Option<Bytes>, HttpError> {
        let read = async {
            let body = self.follow(server, uri).await?.into_body();
            match Limited::new(body, most).collect().await {
                Ok(all) => Ok(Some(all.to_bytes())),
                Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(None),
                Err(error) => Err(HttpError::Away(format!("the answer broke off: {error}"))),
            }
        };
        match timeout(time, read).await {
            Ok(answer) => answer,
            Err(_) => Err(too_slow(time)),
        }
    }

    async fn follow(
        &self,
        server: &ServerUrl,
        mut uri: Uri,
    ) -> Result<Response<Incoming>, HttpError> {
        for _ in 0..=REDIRECTS {
            let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
            if https && !self.https {
                let why = "it leads to https, for which no CAs were read, since no server's URL is of https";
                return Err(HttpError::Refused(why.to_owned()));
            }
            let answer = self.send(&uri).await?;
            if let Some(location) = redirect(&answer) {
                let location = location
                    .ok_or_else(|| HttpError::Refused("it redirects to nowhere".to_owned()))?;
                uri = server.follow(&uri, &location).map_err(HttpError::Refused)?;
                continue;
            }
            return judge(answer);
        }
        Err(HttpError::Refused(format!(
            "more than {REDIRECTS} redirects"
        )))
    }

    /// A connection that was kept may have ended meanwhile, without our having heard: so once more.
    async fn send(&self, uri: &Uri) -> Result<Response<Incoming>, HttpError> {
        let mut again = true;
        loop {
            let request = Request::get(uri.clone()).header(USER_AGENT, self.software.clone());
            let request = request
                .body(Empty::new())
                .map_err(|error| HttpError::Refused(error.to_string()))?;
            match self.client.request(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) if again && !error.is_connect() => again = false,
                Err(error) => return Err(HttpError::Away(with_causes(&error))),
            }
        }
    }
}

/// Where an answer sends us: none if it does not, none in it if it does not say where.
fn redirect(answer: &Response<Incoming>) -> Option<Option<String>> {
    let moved = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = || Some(answer.headers().get(LOCATION)?.to_str().ok()?.to_owned());
    moved.then(location)
}

fn judge(answer: Response<Incoming>) -> Result<Response<Incoming>, HttpError> {
    let status = answer.status();
    match status {
        StatusCode::OK => {}
        // Stores of objects say 403 of what is not there to those that may not list them.
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => {
            return Err(HttpError::Missing);
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            return Err(HttpError::Away(format!("it answers {status}")));
        }
        _ if status.is_server_error() => {
            return Err(HttpError::Away(format!("it answers {status}")));
        }
        _ => return Err(HttpError::Refused(format!("it answers {status}"))),
    }
    match answer.headers().get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(HttpError::Refused(format!(
            "it answers in the encoding {encoding:?}, which was not asked for"
        ))),
        _ => Ok(answer),
    }
}

fn too_slow(time: Duration) -> HttpError {
    HttpError::Away(format!("no answer within {time:?}"))
}

/// An error and what is behind it, in one line.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn read_cas(config: &Config, roots: &mut RootCertStore) -> Result<(), ConfigError> {
    let unreadable = |error| ConfigError::Ca {
        path: config.ca.clone(),
        error,
    };
    let mut pem = Vec::new();
    File::open(&config.ca)
        .and_then(|mut file| file.read_to_end(&mut pem))
        .map_err(unreadable)?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(std::io::Error::other(error)))?;
    // A bundle may have certificates that are too old to be understood: they are passed over.
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        return Err(ConfigError::NoCa(config.ca.clone()));
    }
    Ok(())
}
