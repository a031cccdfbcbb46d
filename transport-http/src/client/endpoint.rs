//! A coordinator that is reached over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use grange_interfaces::message::{Answer, Message, VERSIONS};
use grange_interfaces::{Body, Endpoint, Fault, Peer, Refusal};
use tokio::io::{AsyncRead, AsyncWrite};

use super::config::ClientConfig;
use super::connect::{ConnectError, Connector, warn_if_readable};
use super::pool::Pool;
use super::send::{Incame, Outgoing, Target, send};
use super::url::CoordinatorUrl;
use crate::codec::{encode_message, message_has_body, wait_ms};
use crate::credentials;

/// A coordinator that is reached over HTTP.
///
/// Connections are opened when there is something to say, and kept for the next message. Before
/// the first one, both sides agree on a version of the protocol; that is done again when the
/// coordinator turns out to have been replaced by one that speaks others.
///
/// What goes wrong on the way is a [`Refusal`] that says so: [`Fault::Busy`] if the coordinator was
/// not reached or the connection broke, [`Fault::Operator`] if who was reached is not trusted, is no
/// coordinator, or speaks no version of the protocol that we speak.
///
/// [`Peer::Local`] cannot be said over a wire: who may open the coordinator's trusted Unix socket is
/// local without saying so, and anywhere else it is nobody in particular.
#[derive(Debug)]
pub struct HttpEndpoint {
    name: String,
    config: ClientConfig,
    pool: Arc<Pool>,
    hello: Target,
    /// For each version that we speak, the oldest first.
    calls: Vec<Target>,
    /// The version that was agreed on; 0 for none.
    version: AtomicU16,
    /// Held while a version is being agreed on.
    greeting: tokio::sync::Mutex<()>,
}

impl HttpEndpoint {
    /// A coordinator at `url`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Any [`ConnectError`].
    pub fn connect(url: CoordinatorUrl, config: ClientConfig) -> Result<Self, ConnectError> {
        let connector = Connector::new(url.clone(), &config)?;
        warn_if_readable(&url);
        let name = url.to_string();
        let pool = Pool::new(name.clone(), connector, &config);
        Ok(Self::with(name, Some(&url), config, pool))
    }

    /// A coordinator at the other end of one stream of bytes: a child's standard input and output,
    /// a pipe in memory. `name` names it in refusals. Once the stream has ended, every call is
    /// refused.
    ///
    /// # Errors
    ///
    /// [`Fault::Busy`] if the stream has ended already.
    pub async fn over_stream<S>(
        name: impl Into<String>,
        stream: S,
        config: ClientConfig,
    ) -> Result<Self, Refusal>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let name = name.into();
        let pool = Pool::over(name.clone(), Box::new(stream), &config).await?;
        Ok(Self::with(name, None, config, pool))
    }

    fn with(
        name: String,
        url: Option<&CoordinatorUrl>,
        config: ClientConfig,
        pool: Arc<Pool>,
    ) -> Self {
        let call = |version| Target::new(url, &format!("/v{version}/call"));
        Self {
            hello: Target::new(url, "/hello"),
            calls: (VERSIONS.0..=VERSIONS.1).map(call).collect(),
            pool,
            version: AtomicU16::new(0),
            greeting: tokio::sync::Mutex::default(),
            config,
            name,
        }
    }

    /// The coordinator's URL, or the name that was given to its stream.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Agrees on a version, unless that was done.
    async fn greet(&self) -> Result<(), Refusal> {
        if self.version.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        let _greeting = self.greeting.lock().await;
        if self.version.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        let hello = Message::Hello {
            versions: VERSIONS,
            software: self.config.software.clone(),
        };
        let (answer, _) = self.say(&Peer::Anonymous, &hello, None).await.reply?;
        let Answer::Hello {
            version, software, ..
        } = answer
        else {
            let what = format!("{} answered hello with something else", self.name);
            return Err(Refusal::new(Fault::Peer, what));
        };
        let (first, last) = VERSIONS;
        if !(first..=last).contains(&version) {
            let what = format!(
                "{} ({software}) wants to speak version {version} of the protocol, and this Grange \
                 speaks {first} to {last}: update the older of both",
                self.name
            );
            return Err(Refusal::new(Fault::Operator, what));
        }
        tracing::debug!(name = self.name, version, software, "agreed on a version");
        self.version.store(version, Ordering::Release);
        Ok(())
    }

    async fn say(&self, peer: &Peer, message: &Message, body: Option<Body>) -> Incame {
        let authorization = match credentials::write(peer) {
            Ok(authorization) => authorization,
            Err(refusal) => {
                return Incame {
                    reply: Err(refusal),
                    wrong_version: false,
                };
            }
        };
        let outgoing = Outgoing {
            line: encode_message(message),
            authorization,
            time: self.time_for(message),
        };
        let version = self.version.load(Ordering::Acquire).max(VERSIONS.0);
        let target = if matches!(message, Message::Hello { .. }) {
            &self.hello
        } else {
            &self.calls[usize::from(version - VERSIONS.0)]
        };
        send(&self.pool, &self.name, &self.config, target, outgoing, body).await
    }

    fn time_for(&self, message: &Message) -> Duration {
        match message {
            Message::Report { .. }
            | Message::PutItems { .. }
            | Message::PutDerivations
            | Message::Obtain { .. }
            | Message::Submit { .. }
            | Message::Held
            | Message::Prune(_)
            | Message::Sweep { .. }
            | Message::ImportHistory { .. } => self.config.work_time,
            polls => self
                .config
                .answer_time
                .saturating_add(Duration::from_millis(wait_ms(polls))),
        }
    }
}

#[async_trait]
impl Endpoint for HttpEndpoint {
    async fn call(
        &self,
        peer: &Peer,
        message: Message,
        body: Option<Body>,
    ) -> Result<(Answer, Option<Body>), Refusal> {
        if body.is_some() && !message_has_body(&message) {
            return Err(Refusal::new(Fault::Caller, "this message has no body"));
        }
        if !matches!(message, Message::Hello { .. }) {
            self.greet().await?;
            let (since, spoken) = (message.since(), self.version.load(Ordering::Acquire));
            if (1..since).contains(&spoken) {
                let what = format!(
                    "{} speaks version {spoken} of the protocol, and this needs version {since}: \
                     update the coordinator",
                    self.name
                );
                return Err(Refusal::new(Fault::Operator, what));
            }
        }
        let Incame {
            reply,
            wrong_version,
        } = self.say(peer, &message, body).await;
        if wrong_version {
            // Another coordinator than the one that was greeted: the next call greets it.
            self.version.store(0, Ordering::Release);
        }
        reply
    }
}
