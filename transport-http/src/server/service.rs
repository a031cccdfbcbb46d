//! From requests to responses.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use grange_interfaces::message::{Answer, VERSIONS};
use grange_interfaces::{Body, Endpoint, Fault, Refusal, Site, SiteBody};
use http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, SERVER, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::AnswerBody;
use super::body::RequestBody;
use super::call::{self, Entry};
use super::context::{Context, Serves};
use super::file;
use super::watch::{RequestGuard, Watch};
use crate::codec::{MEDIA_TYPE, encode_reply, status_of};

/// Says which versions the server speaks, on the refusal of a version that it does not.
pub(crate) const VERSIONS_HEADER: HeaderName = HeaderName::from_static("grange-versions");

/// A refusal and how it looks to HTTP.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) status: StatusCode,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
}

impl Refused {
    pub(super) fn new(refusal: Refusal, anonymous: bool) -> Self {
        let status = status_of(refusal.fault, anonymous);
        let header = match status {
            StatusCode::UNAUTHORIZED => Some((
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"grange\""),
            )),
            StatusCode::SERVICE_UNAVAILABLE => {
                // In whole seconds, and never 0: RFC 9110, 10.2.3.
                let seconds = refusal.retry_after_ms.unwrap_or(1000).div_ceil(1000).max(1);
                Some((RETRY_AFTER, HeaderValue::from(seconds)))
            }
            _ => None,
        };
        Self {
            refusal,
            status,
            header,
        }
    }

    fn of_caller(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            refusal: Refusal::new(Fault::Caller, message),
            status,
            header: None,
        }
    }

    fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// Answers one request.
pub(super) async fn respond(
    context: Arc<Context>,
    watch: Arc<Watch>,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let mut guard = watch.request(request.version() == Version::HTTP_2);
    let endpoint = match &context.serves {
        Serves::Calls(endpoint) => endpoint,
        Serves::Pages(site) => return shown(&context, &**site, guard, request).await,
    };
    match answer(&context, endpoint, &watch, &mut guard, request).await {
        Ok(Found::About) => {
            let body = AnswerBody::new(context.about.clone(), None, Some(guard));
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response(&context, StatusCode::OK, text, body)
        }
        Ok(Found::Answer(answer, body)) => {
            let body = AnswerBody::new(encode_reply(Ok(&answer)), body, Some(guard));
            response(
                &context,
                StatusCode::OK,
                HeaderValue::from_static(MEDIA_TYPE),
                body,
            )
        }
        Err(refused) => refusal(&context, refused, guard),
    }
}

/// Answers a request for a page, over hyper.
async fn shown(
    context: &Context,
    site: &dyn Site,
    mut guard: RequestGuard,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let (head, _) = request.into_parts();
    let working = guard.watch().call();
    let (response, place) = page(context, site, &head).await;
    drop(working);
    if let Some(place) = place {
        guard.keep(place);
    }
    let (parts, body) = response.into_parts();
    let (bytes, body) = match body {
        SiteBody::Bytes(bytes) => (bytes, None),
        SiteBody::Stream(body) => (Bytes::new(), Some(body)),
        SiteBody::File(part) => (Bytes::new(), Some(file::stream(part))),
    };
    Response::from_parts(parts, AnswerBody::new(bytes, body, Some(guard)))
}

/// What a site answers, and its place among the server's calls until the answer is sent.
pub(super) async fn page(
    context: &Context,
    site: &dyn Site,
    head: &http::request::Parts,
) -> (Response<SiteBody>, Option<OwnedSemaphorePermit>) {
    let place = check_page(context, head).and_then(|()| {
        let place = Arc::clone(&context.calls).try_acquire_owned();
        place.map_err(|_| {
            let wait = Duration::from_secs(1);
            Refused::new(Refusal::busy("too many requests are answered", wait), false)
        })
    });
    let (mut response, place) = match place {
        Ok(place) => (site.get(head).await, Some(place)),
        Err(refused) => {
            let (line, header) = refused_line(&refused);
            let mut response = Response::new(SiteBody::Bytes(line));
            *response.status_mut() = refused.status;
            let kind = HeaderValue::from_static(MEDIA_TYPE);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response.headers_mut().extend(header);
            (response, None)
        }
    };
    // That of what the client has already would be another one.
    if response.status() != StatusCode::NOT_MODIFIED
        && let Some(length) = response.body().length()
    {
        let length = HeaderValue::from(length);
        response.headers_mut().insert(CONTENT_LENGTH, length);
    }
    let server = context.server.clone();
    response.headers_mut().insert(SERVER, server);
    (response, place)
}

fn check_page(context: &Context, head: &http::request::Parts) -> Result<(), Refused> {
    check_head(context, head)?;
    // RFC 9112, 3.2: whoever is between us might go by another one.
    if head.version == Version::HTTP_11 && head.headers.get_all(HOST).iter().count() != 1 {
        let what = "a request of HTTP/1.1 has one host header";
        return Err(Refused::of_caller(StatusCode::BAD_REQUEST, what));
    }
    match head.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(wrong_method("GET, HEAD")),
    }
}

enum Found {
    About,
    Answer(Answer, Option<Body>),
}

async fn answer(
    context: &Arc<Context>,
    endpoint: &Arc<dyn Endpoint>,
    watch: &Arc<Watch>,
    guard: &mut RequestGuard,
    request: Request<Incoming>,
) -> Result<Found, Refused> {
    let (head, incoming) = request.into_parts();
    // Made first, so that what is refused is read away as well.
    let body = RequestBody::new(incoming, &head, &context.limits, watch);
    check_head(context, &head)?;
    let entry = match (head.uri.path(), &head.method) {
        ("/", &Method::GET) => return Ok(Found::About),
        ("/", _) => return Err(wrong_method("GET")),
        ("/hello", _) => Entry::Hello,
        (path, _) => match version_of(path) {
            Some(version) if (VERSIONS.0..=VERSIONS.1).contains(&version) => Entry::Call,
            Some(version) => return Err(wrong_version(version)),
            None => {
                let what = format!("there is nothing at {path:?}");
                return Err(Refused::new(Refusal::new(Fault::NotFound, what), false));
            }
        },
    };
    if head.method != Method::POST {
        return Err(wrong_method("POST"));
    }
    let (answer, body) =
        call::run(context, endpoint, watch, guard, entry, &head.headers, body).await?;
    Ok(Found::Answer(answer, body))
}

fn check_head(context: &Context, head: &http::request::Parts) -> Result<(), Refused> {
    let limits = &context.limits;
    let path = head
        .uri
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    if path > limits.path_bytes {
        let what = format!("the path has more than {} bytes", limits.path_bytes);
        return Err(Refused::of_caller(StatusCode::URI_TOO_LONG, what));
    }
    // As they are in HTTP/1.1: `NAME: VALUE` and the end of the line.
    let bytes: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if bytes > limits.header_bytes || head.headers.len() > limits.headers {
        let what = format!(
            "there are more than {} headers, or more than {} bytes of them",
            limits.headers, limits.header_bytes
        );
        return Err(Refused::of_caller(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            what,
        ));
    }
    Ok(())
}

/// The version in `/vN/call`.
fn version_of(path: &str) -> Option<u16> {
    let digits = path.strip_prefix("/v")?.strip_suffix("/call")?;
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty();
    number.then(|| digits.parse().unwrap_or(u16::MAX))
}

fn wrong_method(right: &'static str) -> Refused {
    let what = format!("only {right} does something here");
    let header = Some((ALLOW, HeaderValue::from_static(right)));
    Refused {
        header,
        ..Refused::of_caller(StatusCode::METHOD_NOT_ALLOWED, what)
    }
}

fn wrong_version(version: u16) -> Refused {
    let (first, last) = VERSIONS;
    let older = if version > last {
        "coordinator"
    } else {
        "caller"
    };
    let what = format!(
        "version {version} of the protocol is not spoken here, only {first} to {last}: update the {older}"
    );
    let versions =
        HeaderValue::from_str(&format!("{first}-{last}")).expect("digits are a header's value");
    let refused = Refused::new(Refusal::new(Fault::Operator, what), false);
    Refused {
        header: Some((VERSIONS_HEADER, versions)),
        ..refused.with_status(StatusCode::NOT_FOUND)
    }
}

/// The line that says it, and its header.
fn refused_line(refused: &Refused) -> (Bytes, Option<(HeaderName, HeaderValue)>) {
    tracing::debug!(status = refused.status.as_u16(), refusal = %refused.refusal, "refused");
    (encode_reply(Err(&refused.refusal)), refused.header.clone())
}

fn refusal(context: &Context, refused: Refused, guard: RequestGuard) -> Response<AnswerBody> {
    let (line, header) = refused_line(&refused);
    let body = AnswerBody::new(line, None, Some(guard));
    let mut response = response(
        context,
        refused.status,
        HeaderValue::from_static(MEDIA_TYPE),
        body,
    );
    response.headers_mut().extend(header);
    response
}

fn response(
    context: &Context,
    status: StatusCode,
    kind: HeaderValue,
    body: AnswerBody,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
        .headers_mut()
        .insert(SERVER, context.server.clone());
    response
}
