//! Messages and answers as lines of JSON.

use bytes::Bytes;
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Fault, Refusal};
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// The content type of requests and responses.
pub const MEDIA_TYPE: &str = "application/vnd.grange.v1";

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum ReplyRef<'a> {
    Ok(&'a Answer),
    Refused(&'a Refusal),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reply {
    Ok(Answer),
    Refused(Refusal),
}

/// A message as its line, with the line feed.
#[must_use]
pub fn encode_message(message: &Message) -> Bytes {
    line(message)
}

/// The message of a line (with or without its line feed).
///
/// # Errors
///
/// [`Fault::Caller`] if it is none.
pub fn decode_message(line: &[u8]) -> Result<Message, Refusal> {
    serde_json::from_slice(line).map_err(|error| {
        Refusal::new(
            Fault::Caller,
            format!("the message cannot be read: {error}"),
        )
    })
}

/// An answer or refusal as its line, with the line feed.
#[must_use]
pub fn encode_reply(reply: Result<&Answer, &Refusal>) -> Bytes {
    line(&match reply {
        Ok(answer) => ReplyRef::Ok(answer),
        Err(refusal) => ReplyRef::Refused(refusal),
    })
}

/// The answer or refusal of a line (with or without its line feed).
///
/// # Errors
///
/// What is wrong with the line, if it is none.
pub fn decode_reply(line: &[u8]) -> Result<Result<Answer, Refusal>, serde_json::Error> {
    Ok(match serde_json::from_slice(line)? {
        Reply::Ok(answer) => Ok(answer),
        Reply::Refused(refusal) => Err(refusal),
    })
}

/// Whether raw bytes follow the line of this message.
#[must_use]
pub fn message_has_body(message: &Message) -> bool {
    matches!(
        message,
        Message::AppendLog { .. }
            | Message::AppendUpload { .. }
            | Message::PutDerivations
            | Message::PutItems { .. }
    )
}

/// Whether raw bytes follow the line of this answer.
#[must_use]
pub fn answer_has_body(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Log { .. } | Answer::Item(_) | Answer::Derivations
    )
}

/// How long the other side may wait before it answers, in milliseconds; 0 if it answers at once.
pub(crate) fn wait_ms(message: &Message) -> u64 {
    match message {
        Message::Exchange(exchange) => exchange.wait_ms,
        Message::Facts { wait_ms, .. } | Message::Log { wait_ms, .. } => *wait_ms,
        _ => 0,
    }
}

/// The status that goes with a refusal; `anonymous` if the caller gave no credentials.
pub(crate) fn status_of(fault: Fault, anonymous: bool) -> StatusCode {
    match fault {
        Fault::Caller => StatusCode::BAD_REQUEST,
        Fault::Forbidden if anonymous => StatusCode::UNAUTHORIZED,
        Fault::Forbidden => StatusCode::FORBIDDEN,
        Fault::NotFound => StatusCode::NOT_FOUND,
        Fault::Conflict => StatusCode::CONFLICT,
        Fault::Peer => StatusCode::BAD_GATEWAY,
        Fault::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn line(value: &impl Serialize) -> Bytes {
    let mut line =
        serde_json::to_vec(value).expect("keys are strings, and nothing refuses to be serialized");
    line.push(b'\n');
    Bytes::from(line)
}
