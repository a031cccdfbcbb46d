//! One call of the endpoint.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use grange_interfaces::message::{Answer, Message, VERSIONS};
use grange_interfaces::{Body, Endpoint, Fault, Peer, Refusal};
use http::{HeaderMap, StatusCode};

use super::body::{Line, RequestBody};
use super::context::Context;
use super::service::Refused;
use super::watch::{RequestGuard, Watch};
use crate::Limits;
use crate::codec::{answer_has_body, decode_message, message_has_body, wait_ms};
use crate::credentials;

/// Where a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// `/hello`: no version is agreed on.
    Hello,
    /// `/vN/call`, in a version that is spoken here.
    Call,
}

/// Reads a message, asks the endpoint, and returns the answer.
pub(super) async fn run(
    context: &Arc<Context>,
    endpoint: &Arc<dyn Endpoint>,
    watch: &Arc<Watch>,
    guard: &mut RequestGuard,
    entry: Entry,
    headers: &HeaderMap,
    mut body: RequestBody,
) -> Result<(Answer, Option<Body>), Refused> {
    let peer = credentials::read(headers, context.nobody.clone())
        .map_err(|refusal| Refused::new(refusal, true))?;
    let anonymous = peer == Peer::Anonymous;
    let refuse = |refusal| Refused::new(refusal, anonymous);
    let place = Arc::clone(&context.calls)
        .try_acquire_owned()
        .map_err(|_| {
            refuse(Refusal::busy(
                "too many calls are running",
                Duration::from_secs(1),
            ))
        })?;
    guard.keep(place);

    let cut = body.cut();
    let refuse_cut = |refusal: Refusal| {
        let too_large = cut.get().is_some_and(|cut| cut.fault == Fault::Caller);
        let refused = refuse(refusal);
        if too_large {
            Refused {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                ..refused
            }
        } else {
            refused
        }
    };
    let line = body
        .line(context.limits.message_bytes, &context.line_memory)
        .await
        .map_err(refuse_cut)?;
    let Line { bytes, memory } = line;
    let message = decode_message(&bytes).map_err(refuse)?;
    drop(bytes);
    check_entry(entry, &message).map_err(refuse)?;
    let sent = match body_limit(&message, &context.limits) {
        Some(limit) => {
            body.limit(limit).map_err(refuse_cut)?;
            Some(body.boxed())
        }
        None => {
            body.end().await.map_err(refuse)?;
            None
        }
    };

    let answered = ask(context, endpoint, watch, &peer, message, sent).await;
    drop(memory);
    match (answered, cut.get()) {
        (Ok((answer, body)), _) => check_answer(answer, body).map_err(refuse),
        // What the endpoint says is that the body broke off. The reason helps more.
        (Err(_), Some(reason)) => Err(refuse_cut(reason.clone())),
        (Err(refusal), None) => Err(refuse(refusal)),
    }
}

/// Calls the endpoint. A long poll is answered when the server stops.
async fn ask(
    context: &Context,
    endpoint: &Arc<dyn Endpoint>,
    watch: &Arc<Watch>,
    peer: &Peer,
    message: Message,
    body: Option<Body>,
) -> Result<(Answer, Option<Body>), Refusal> {
    let _call = watch.call();
    let polls = wait_ms(&message) > 0;
    let call = AssertUnwindSafe(endpoint.call(peer, message, body)).catch_unwind();
    let answered = if polls {
        tokio::select! {
            biased;
            answered = call => answered,
            () = context.stop.stopped() => {
                return Err(Refusal::busy("the coordinator is stopping", Duration::from_secs(1)));
            }
        }
    } else {
        call.await
    };
    answered.unwrap_or_else(|_| {
        tracing::error!("a call panicked");
        Err(Refusal::new(
            Fault::Us,
            "the coordinator failed on this call: see its log",
        ))
    })
}

fn check_entry(entry: Entry, message: &Message) -> Result<(), Refusal> {
    let Message::Hello {
        versions: (from, to),
        ..
    } = message
    else {
        return match entry {
            Entry::Call => Ok(()),
            Entry::Hello => Err(Refusal::new(
                Fault::Caller,
                format!(
                    "only hello is said here: other messages go to /v{}/call",
                    VERSIONS.1
                ),
            )),
        };
    };
    let (first, last) = VERSIONS;
    if from > to {
        let what = format!("versions {from} to {to} are none: the lower comes first");
        return Err(Refusal::new(Fault::Caller, what));
    }
    if *to < first || *from > last {
        let older = if *from > last {
            "coordinator"
        } else {
            "caller"
        };
        let what = format!(
            "no version of the protocol is spoken by both: the coordinator speaks {first} to {last}, \
             the caller {from} to {to}: update the {older}"
        );
        return Err(Refusal::new(Fault::Operator, what));
    }
    Ok(())
}

/// How many bytes may follow a message; none if it has no body.
fn body_limit(message: &Message, limits: &Limits) -> Option<u64> {
    message_has_body(message).then_some(match message {
        Message::AppendLog { .. } => limits.log_bytes,
        Message::PutDerivations => limits.derivations_bytes,
        Message::PutItems { .. } => limits.items_bytes,
        _ => limits.upload_bytes,
    })
}

fn check_answer(answer: Answer, body: Option<Body>) -> Result<(Answer, Option<Body>), Refusal> {
    if body.is_some() && !answer_has_body(&answer) {
        tracing::error!(
            ?answer,
            "the endpoint gave a body to an answer that has none"
        );
        return Err(Refusal::new(
            Fault::Us,
            "the answer came with a body that it cannot have",
        ));
    }
    Ok((answer, body))
}
