//! Answers.

use std::time::Duration;

use bytes::Bytes;
use grange_interfaces::SiteBody;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

pub(crate) const NARINFO: &str = "text/x-nix-narinfo";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
pub(crate) const BYTES: &str = "application/octet-stream";

/// What a reply is made of before it is one.
pub(crate) struct Reply(Response<SiteBody>);

impl Reply {
    pub(crate) fn new(status: StatusCode, kind: &'static str, body: SiteBody) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        Self(response)
    }

    /// A short text.
    pub(crate) fn text(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Self {
        Self::new(status, kind, SiteBody::Bytes(Bytes::from(text.into())))
    }

    pub(crate) fn size(self, bytes: u64) -> Self {
        self.header(CONTENT_LENGTH, HeaderValue::from(bytes))
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    /// How long it may be remembered.
    pub(crate) fn remember(self, time: Duration) -> Self {
        let value = format!("public, max-age={}", time.as_secs());
        let value = HeaderValue::from_str(&value).expect("digits are a header's value");
        self.header(CACHE_CONTROL, value)
    }

    /// It may be remembered, and is asked for again before it is used: its name does not say which bytes it has.
    pub(crate) fn ask_again(self) -> Self {
        self.header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
    }

    pub(crate) fn done(self) -> Response<SiteBody> {
        self.0
    }
}
