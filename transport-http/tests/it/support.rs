//! Servers and clients for the tests.

use std::sync::Arc;

use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Endpoint, Peer, Refusal, Stop, Stopper};
use grange_transport_http::{
    ClientConfig, HttpEndpoint, HttpVersion, ListenAddress, Server, ServerConfig,
};
use tokio::task::JoinHandle;

use crate::fake::Fake;

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: ListenAddress,
    pub(crate) stopper: Stopper,
    pub(crate) serving: JoinHandle<()>,
}

impl Running {
    /// On a port of the loopback.
    pub(crate) async fn on_loopback(endpoint: &Arc<Fake>, config: ServerConfig) -> Self {
        Self::start("127.0.0.1:0".parse().unwrap(), endpoint, config).await
    }

    pub(crate) async fn start(
        address: ListenAddress,
        endpoint: &Arc<Fake>,
        config: ServerConfig,
    ) -> Self {
        let server = Server::bind(address, config).await.unwrap();
        let address = server.local_addr().clone();
        let (stopper, stop) = Stop::new();
        Self {
            address,
            stopper,
            serving: tokio::spawn(server.serve(Arc::<Fake>::clone(endpoint), stop)),
        }
    }

    /// With defaults, and its fake.
    pub(crate) async fn plain() -> (Self, Arc<Fake>) {
        let fake = Fake::new();
        (
            Self::on_loopback(&fake, ServerConfig::default()).await,
            fake,
        )
    }

    pub(crate) fn url(&self) -> String {
        match &self.address {
            ListenAddress::Tcp(address) => format!("http://{address}"),
            other => other.to_string(),
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn client(&self, http: HttpVersion) -> HttpEndpoint {
        let mut config = ClientConfig::default();
        config.http = http;
        client(&self.url(), config)
    }

    pub(crate) async fn stop(mut self) {
        self.stopper.stop();
        self.serving.await.unwrap();
    }
}

pub(crate) fn client(url: &str, config: ClientConfig) -> HttpEndpoint {
    HttpEndpoint::connect(url.parse().unwrap(), config).unwrap()
}

pub(crate) fn server_config(change: impl FnOnce(&mut ServerConfig)) -> ServerConfig {
    let mut config = ServerConfig::default();
    change(&mut config);
    config
}

/// Both ways to speak HTTP.
pub(crate) const BOTH: [HttpVersion; 2] = [HttpVersion::Http1, HttpVersion::Http2];

/// Says something that has no body, and is answered so.
pub(crate) async fn ask(endpoint: &dyn Endpoint, message: Message) -> Result<Answer, Refusal> {
    let (answer, body) = endpoint.call(&Peer::Anonymous, message, None).await?;
    assert!(body.is_none());
    Ok(answer)
}

/// A message that the fake never answers.
pub(crate) fn long_poll() -> Message {
    Message::Facts {
        after: None,
        wait_ms: 30_000,
        limit: 1,
    }
}

/// A message that the fake answers when it is told to.
pub(crate) fn slow_call() -> Message {
    Message::Job {
        attempt: "1.2.3".parse().unwrap(),
    }
}
