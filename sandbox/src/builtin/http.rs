//! Getting a file over HTTP.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use grange_interfaces::Log;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// Where systems keep the certificates that they trust.
const CERTIFICATES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const MAX_REDIRECTS: usize = 10;
/// For a connection, for an answer, and between two pieces of a body.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes after which a line tells how far it is.
const PROGRESS: u64 = 10 * 1024 * 1024;

/// Gets files.
#[derive(Debug)]
pub(super) struct Downloader {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error("`{0}` is not a URL that can be downloaded from: only http and https are")]
    Url(String),
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("more than {MAX_REDIRECTS} redirections")]
    Redirects,
    #[error("nothing came for {} seconds", PATIENCE.as_secs())]
    Patience,
    #[error("no connection: {}", chain(.0))]
    Connection(ClientError),
    #[error("the connection broke: {0}")]
    Body(hyper::Error),
    #[error("the file cannot be written: {0}")]
    Write(#[source] io::Error),
}

impl Downloader {
    /// One that trusts these certificates, or the system's.
    pub(super) fn new(certificates: Option<&Path>) -> io::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        let system = || {
            CERTIFICATES
                .map(Path::new)
                .into_iter()
                .find(|path| path.exists())
        };
        if let Some(path) = certificates.or_else(system) {
            let failed =
                |error| io::Error::other(format!("certificates in {}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
                // Some systems trust certificates that the library finds fault with.
                let _ = roots.add(certificate.map_err(failed)?);
            }
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(PATIENCE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Gets `url` into a new file, or one that an earlier attempt left.
    pub(super) async fn get(
        &self,
        url: &str,
        file: &Path,
        log: &mut Log,
    ) -> Result<(), DownloadError> {
        say(log, format!("downloading {url}")).await;
        let answer = self.follow(url, log).await?;
        let length = answer
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
        let of = length
            .map(|length| format!(" of {length}"))
            .unwrap_or_default();
        let mut body = answer.into_body();
        let mut out = File::create(file).await.map_err(DownloadError::Write)?;
        let (mut size, mut next) = (0, PROGRESS);
        while let Some(frame) = timeout(PATIENCE, body.frame())
            .await
            .map_err(|_| DownloadError::Patience)?
        {
            let Ok(piece) = frame.map_err(DownloadError::Body)?.into_data() else {
                continue;
            };
            out.write_all(&piece).await.map_err(DownloadError::Write)?;
            size += piece.len() as u64;
            if size >= next {
                next = size + PROGRESS;
                say(log, format!("{size}{of} bytes")).await;
            }
        }
        out.flush().await.map_err(DownloadError::Write)?;
        say(log, format!("{size} bytes downloaded")).await;
        Ok(())
    }

    /// The answer at the end of all redirections.
    async fn follow(&self, url: &str, log: &mut Log) -> Result<Response<Incoming>, DownloadError> {
        let mut uri: Uri = url
            .parse()
            .map_err(|_| DownloadError::Url(url.to_owned()))?;
        for _ in 0..=MAX_REDIRECTS {
            if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
                return Err(DownloadError::Url(uri.to_string()));
            }
            let answer = timeout(PATIENCE, self.client.request(request(&uri))).await;
            let answer = answer
                .map_err(|_| DownloadError::Patience)?
                .map_err(DownloadError::Connection)?;
            let location = answer.headers().get(header::LOCATION);
            match (answer.status(), location) {
                (StatusCode::OK, _) => return Ok(answer),
                (status, Some(location)) if status.is_redirection() => {
                    uri = resolve(&uri, location)?;
                    say(log, format!("redirected to {uri}")).await;
                }
                (status, _) => return Err(DownloadError::Status(status)),
            }
        }
        Err(DownloadError::Redirects)
    }
}

fn request(uri: &Uri) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri.clone();
    // As it is: a file whose hash is known must not be compressed on the way.
    request.headers_mut().insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    request.headers_mut().insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("grange/", env!("CARGO_PKG_VERSION"))),
    );
    request
}

/// Where a `Location` leads, seen from `base` (RFC 3986, section 5.2, but for `..`, which servers resolve).
fn resolve(base: &Uri, location: &HeaderValue) -> Result<Uri, DownloadError> {
    let text = String::from_utf8_lossy(location.as_bytes()).into_owned();
    let text = text.split('#').next().unwrap_or_default();
    let (scheme, authority) = (
        base.scheme_str().unwrap_or("http"),
        base.authority().map_or("", |it| it.as_str()),
    );
    let absolute = if text.contains("://") {
        text.to_owned()
    } else if text.starts_with("//") {
        format!("{scheme}:{text}")
    } else if text.starts_with('/') {
        format!("{scheme}://{authority}{text}")
    } else {
        let directory = base
            .path()
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        format!("{scheme}://{authority}{directory}/{text}")
    };
    absolute.parse().map_err(|_| DownloadError::Url(absolute))
}

/// A line in the log.
pub(super) async fn say(log: &mut Log, line: String) {
    log.write(Bytes::from(line + "\n")).await;
}

/// An error and all that caused it: what says why is at the end.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let base: Uri = "https://example.org/a/b?c".parse().unwrap();
        for (location, expected) in [
            ("http://other/x", "http://other/x"),
            ("//other/x", "https://other/x"),
            ("/x#part", "https://example.org/x"),
            ("x?y", "https://example.org/a/x?y"),
        ] {
            let resolved = resolve(&base, &HeaderValue::from_static(location)).unwrap();
            assert_eq!(resolved.to_string(), expected);
        }
        assert!(resolve(&base, &HeaderValue::from_static("http://a b/")).is_err());
    }
}
