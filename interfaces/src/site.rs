//! What a server shows to whoever asks with GET or HEAD.

use std::fmt;

use async_trait::async_trait;
use http::Response;
use http::request::Parts;

use crate::Body;

/// Pages for strangers: no protocol of Grange's, no credentials.
///
/// # Contract
///
/// * Is asked with GET and HEAD only, and answers both alike: the server leaves a body out where
///   it has to.
/// * Answers everything, with a status that says what was wrong. Nothing in `head` was checked but
///   that it is HTTP within the server's limits.
/// * Where the length of the body is known, the header `content-length` says it.
#[async_trait]
pub trait Site: Send + Sync + fmt::Debug {
    /// The answer to a request.
    async fn get(&self, head: &Parts) -> Response<Body>;
}
