//! One request and its answer, over whichever connection there is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use grange_interfaces::message::Answer;
use grange_interfaces::{Body, Fault, Refusal};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, sleep_until};

use super::answer::AnswerBytes;
use super::config::ClientConfig;
use super::errors;
use super::pool::{Connection, Pool, Taken};
use super::sending::{SendBody, Sending};
use super::url::CoordinatorUrl;
use crate::codec::{MEDIA_TYPE, answer_has_body, decode_reply};
use crate::patience::Patience;
use crate::server::VERSIONS_HEADER;

/// Connections to try before giving up: any number of old ones may have been closed meanwhile, but
/// after this many a new one is made.
const OLD_CONNECTIONS: u32 = 3;

/// How much of an answer that is none of ours is shown.
const SHOWN_BYTES: usize = 200;

/// A lowest rate for answers is not demanded: only a stall cuts them.
const ANSWER_MIN_RATE: u64 = 1;

/// Where requests go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// For HTTP/1.1.
    path: Uri,
    /// For HTTP/2, which wants all of it.
    full: Uri,
    host: HeaderValue,
}

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) line: Bytes,
    pub(super) authorization: Option<HeaderValue>,
    /// How long the coordinator may take once it has everything.
    pub(super) time: Duration,
}

/// What came back.
pub(super) struct Incame {
    pub(super) reply: Result<(Answer, Option<Body>), Refusal>,
    /// The server does not speak the version that it was addressed in.
    pub(super) wrong_version: bool,
}

impl Target {
    pub(super) fn new(url: Option<&CoordinatorUrl>, path: &str) -> Self {
        let authority = url.map_or_else(|| "localhost".to_owned(), CoordinatorUrl::authority);
        let scheme = if matches!(url, Some(CoordinatorUrl::Https { .. })) {
            "https"
        } else {
            "http"
        };
        Self {
            path: path.parse().expect("our paths are good"),
            full: format!("{scheme}://{authority}{path}")
                .parse()
                .expect("a URL that was read is good"),
            host: HeaderValue::from_str(&authority)
                .expect("a host that was read has no odd characters"),
        }
    }

    fn request(&self, outgoing: &Outgoing, http2: bool, body: SendBody) -> Request<SendBody> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        let headers = request.headers_mut();
        if !http2 {
            headers.insert(HOST, self.host.clone());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(authorization) = &outgoing.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        self.address(&mut request, http2);
        request
    }

    fn address(&self, request: &mut Request<SendBody>, http2: bool) {
        *request.uri_mut() = if http2 {
            self.full.clone()
        } else {
            self.path.clone()
        };
    }
}

/// Sends a message, and reads what is answered.
pub(super) async fn send(
    pool: &Arc<Pool>,
    name: &str,
    config: &ClientConfig,
    target: &Target,
    outgoing: Outgoing,
    body: Option<Body>,
) -> Incame {
    let sent = send_request(pool, name, target, &outgoing, body).await;
    let (response, connection, sending) = match sent {
        Ok(sent) => sent,
        Err(refusal) => {
            return Incame {
                reply: Err(refusal),
                wrong_version: false,
            };
        }
    };
    let wrong_version = response.headers().contains_key(VERSIONS_HEADER);
    let reply = read_response(pool, name, config, response, connection).await;
    if let Some(sending) = sending {
        sending.cancel();
    }
    Incame {
        reply,
        wrong_version,
    }
}

type Sent = (Response<Incoming>, Connection, Option<Arc<Sending>>);

async fn send_request(
    pool: &Arc<Pool>,
    name: &str,
    target: &Target,
    outgoing: &Outgoing,
    body: Option<Body>,
) -> Result<Sent, Refusal> {
    let has_body = body.is_some();
    let (body, sending) = SendBody::new(outgoing.line.clone(), body);
    let mut unsent = Some(body);
    let mut tries = 0;
    loop {
        let Taken {
            mut connection,
            used_before,
        } = pool.take(tries >= OLD_CONNECTIONS).await?;
        tries += 1;
        let body = unsent
            .take()
            .unwrap_or_else(|| SendBody::new(outgoing.line.clone(), None).0);
        let request = target.request(outgoing, connection.is_http2(), body);
        let unanswered = Unanswered(pool);
        let waited =
            answer_in_time(&mut connection, request, sending.as_deref(), outgoing.time).await;
        if waited.is_some() {
            unanswered.answered();
        }
        if let Some(why) = sending.as_deref().and_then(Sending::failure) {
            let what = format!("the body that was to be sent cannot be read: {why}");
            return Err(Refusal::new(Fault::Operator, what));
        }
        let mut error = match waited {
            Some(Ok(response)) => return Ok((response, connection, sending)),
            Some(Err(error)) => error,
            None => {
                let what = format!("no answer within {:?}", outgoing.time);
                return Err(errors::broken(name, &what));
            }
        };
        unsent = error.take_message().map(Request::into_body);
        // An old connection may have been closed while it was not used. Messages can be sent twice;
        // bodies cannot, once they were begun.
        let again = used_before && (unsent.is_some() || !has_body);
        if !again || tries > OLD_CONNECTIONS {
            return Err(errors::broken(name, &errors::chain(error.error())));
        }
    }
}

/// A request that was not answered yet. Whoever drops it, or lets its time pass, has lost patience with the network.
struct Unanswered<'a>(&'a Pool);

impl Unanswered<'_> {
    fn answered(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.distrust();
    }
}

/// Waits for the head of the response; none once its time is over or the body cannot be read.
async fn answer_in_time(
    connection: &mut Connection,
    request: Request<SendBody>,
    sending: Option<&Sending>,
    time: Duration,
) -> Option<Result<Response<Incoming>, TrySendError<Request<SendBody>>>> {
    let begun = Instant::now();
    let deadline = || sending.map_or(begun, Sending::idle_since) + time;
    let failed = async {
        match sending {
            Some(sending) => sending.failed().await,
            None => std::future::pending().await,
        }
    };
    let mut failed = std::pin::pin!(failed);
    let mut answer = std::pin::pin!(connection.send(request));
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return Some(answer),
            () = &mut failed => return None,
            () = sleep_until(deadline()) => {
                if deadline() <= Instant::now() {
                    return None;
                }
            }
        }
    }
}

async fn read_response(
    pool: &Arc<Pool>,
    name: &str,
    config: &ClientConfig,
    response: Response<Incoming>,
    connection: Connection,
) -> Result<(Answer, Option<Body>), Refusal> {
    let status = response.status();
    let ours = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == MEDIA_TYPE);
    let patience = Patience::new(config.stall_time, ANSWER_MIN_RATE);
    let mut bytes = AnswerBytes::new(response.into_body(), patience, connection, Arc::clone(pool));
    if !ours {
        return Err(foreign(name, status, bytes).await);
    }
    let broken = |error: std::io::Error| errors::broken(name, &errors::chain(&error));
    let line = bytes
        .line(config.answer_bytes)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => {
                Refusal::new(Fault::Peer, format!("{name}: {error}"))
            }
            _ => broken(error),
        })?;
    let reply = decode_reply(&line).map_err(|error| {
        Refusal::new(
            Fault::Peer,
            format!("the answer of {name} cannot be read: {error}"),
        )
    })?;
    if let Ok(answer) = &reply
        && answer_has_body(answer)
    {
        return reply.map(|answer| (answer, Some(bytes.boxed())));
    }
    if !bytes.end().await.map_err(broken)? {
        let what = format!("bytes follow the answer of {name}, which has no body");
        return Err(Refusal::new(Fault::Peer, what));
    }
    reply.map(|answer| (answer, None))
}

/// Something else than a coordinator answered: a proxy, another program.
async fn foreign(name: &str, status: StatusCode, mut bytes: AnswerBytes) -> Refusal {
    let mut shown = Vec::new();
    while shown.len() < SHOWN_BYTES
        && let Some(Ok(chunk)) = bytes.next().await
    {
        let room = SHOWN_BYTES - shown.len();
        shown.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    let shown = String::from_utf8_lossy(&shown);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = format!(
        "{name} is no coordinator, or something stands before it: it answered {status}: {shown}"
    );
    match status {
        // A proxy that does not reach the coordinator.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Refusal::busy(what, Duration::from_secs(5))
        }
        _ => Refusal::new(Fault::Operator, what),
    }
}
