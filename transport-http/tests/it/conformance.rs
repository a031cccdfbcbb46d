//! The contract, over everything that this transport runs over.

use std::path::PathBuf;
use std::sync::Arc;

use grange_interfaces::{Endpoint, Stop};
use grange_testing::conformance::{Link, Serving, TransportBench};
use grange_transport_http::{
    ClientConfig, HttpEndpoint, HttpVersion, ListenAddress, Server, ServerConfig, serve_stream,
};
use tempfile::TempDir;

/// Over a listener.
struct Listening {
    address: ListenAddress,
    http: HttpVersion,
    trusted: bool,
    _directory: Option<TempDir>,
}

impl Listening {
    fn tcp(http: HttpVersion) -> Self {
        Self {
            address: "127.0.0.1:0".parse().unwrap(),
            http,
            trusted: false,
            _directory: None,
        }
    }

    fn unix(trusted: bool) -> Self {
        let directory = TempDir::new().unwrap();
        let path: PathBuf = directory.path().join("socket");
        Self {
            address: format!("unix:{}", path.display()).parse().unwrap(),
            http: HttpVersion::Http1,
            trusted,
            _directory: Some(directory),
        }
    }
}

impl TransportBench for Listening {
    async fn connect(&self, endpoint: Arc<dyn Endpoint>) -> Link {
        let mut config = ServerConfig::default();
        config.trusted = self.trusted;
        let server = Server::bind(self.address.clone(), config).await.unwrap();
        let url = match server.local_addr() {
            ListenAddress::Tcp(address) => format!("http://{address}"),
            other => other.to_string(),
        };
        let mut config = ClientConfig::default();
        config.http = self.http;
        let client = HttpEndpoint::connect(url.parse().unwrap(), config).unwrap();
        let (stopper, stop) = Stop::new();
        let serving = tokio::spawn(server.serve(endpoint, stop));
        Link {
            client: Arc::new(client),
            serving: Some(Serving {
                stopper,
                ended: Box::pin(async move { serving.await.unwrap() }),
            }),
        }
    }

    fn is_local(&self) -> bool {
        self.trusted
    }
}

/// Over a pipe in memory.
struct Pipe;

impl TransportBench for Pipe {
    async fn connect(&self, endpoint: Arc<dyn Endpoint>) -> Link {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (stopper, stop) = Stop::new();
        let config = ServerConfig::default();
        let serving = tokio::spawn(serve_stream(theirs, endpoint, config, stop));
        let client = HttpEndpoint::over_stream("the pipe", ours, ClientConfig::default());
        Link {
            client: Arc::new(client.await.unwrap()),
            serving: Some(Serving {
                stopper,
                ended: Box::pin(async move { serving.await.unwrap().unwrap() }),
            }),
        }
    }

    fn is_local(&self) -> bool {
        false
    }
}

mod http1 {
    use super::{HttpVersion, Listening};
    grange_testing::transport_conformance!(Listening::tcp(HttpVersion::Http1));
}

mod http2 {
    use super::{HttpVersion, Listening};
    grange_testing::transport_conformance!(Listening::tcp(HttpVersion::Http2));
}

mod unix_socket {
    use super::Listening;
    grange_testing::transport_conformance!(Listening::unix(false));
}

mod trusted_unix_socket {
    use super::Listening;
    grange_testing::transport_conformance!(Listening::unix(true));
}

mod duplex {
    use super::Pipe;
    grange_testing::transport_conformance!(Pipe);
}
