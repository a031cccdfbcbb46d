//! Each of these breaks one sentence of the contract, and the case for that sentence fails.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::ready;
use futures::stream::{self, StreamExt, TryStreamExt};
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Body, Endpoint, Fault, Peer, Refusal, Secret, Stop, empty_body};
use grange_testing::MemoryTransport;
use grange_testing::conformance::{Link, Serving, TransportBench};

type Reply = Result<(Answer, Option<Body>), Refusal>;

/// What is wrong with a transport.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Forgets what an agent was tagged with.
    LosesTags,
    /// Says that an offset is where the message said.
    RoundsOffsets,
    /// Lets an agent call without its password.
    ForgetsPasswords,
    /// Takes everybody for somebody of this process.
    TrustsEverybody,
    /// Makes every fault one of Grange.
    DropsFaults,
    /// Forgets when to ask again.
    DropsTimes,
    /// Leaves out what comes after the first 30 bytes of a short body.
    TruncatesBodies,
    /// Holds the first 60 MiB of a body before it sends any.
    CollectsBodies,
    /// Reads up to a thousand pieces of a body before anybody wants them.
    ReadsAhead,
    /// The same as `CollectsBodies` for the body of an answer.
    CollectsAnswers,
    /// Takes an error for the end of a body.
    EndsQuietly,
    /// The same for the body of an answer.
    EndsAnswersQuietly,
    /// Gives every answer a body.
    GivesBodies,
    /// Gives one call the body of another.
    MixesBodies,
    /// Lets a call wait until the one before it is answered.
    OneAtATime,
    /// Goes on with calls that were dropped.
    SwallowsDrops,
    /// Takes the end of a call for the end of its body.
    EndsWithItsCall,
    /// Answers when the body has been read.
    WaitsForBodies,
    /// Goes on with bodies of answers that were dropped.
    KeepsBodies,
    /// Ends what runs when it is told to stop.
    CutsWhatRuns,
    /// Never stops.
    NeverStops,
    /// Says nothing to who calls after the end.
    SaysNothing,
}

struct Bench(Defect);

impl TransportBench for Bench {
    async fn connect(&self, endpoint: Arc<dyn Endpoint>) -> Link {
        let defect = self.0;
        let (client, server) = MemoryTransport::new();
        let far: Arc<dyn Endpoint> = Arc::new(Far {
            inner: endpoint,
            defect,
            parked: Mutex::default(),
        });
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let (stopper, stop) = Stop::new();
        let cut = stop.clone();
        let stop = match defect {
            Defect::NeverStops => Stop::never(),
            _ => stop,
        };
        let serving = tokio::spawn(async move {
            let cut = async {
                cut.stopped().await;
                if defect != Defect::CutsWhatRuns {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                () = cut => {}
                () = server.serve(far, stop) => {}
            }
            end.store(true, Ordering::SeqCst);
        });
        let near = Near {
            inner: client,
            defect,
            ended,
            turn: tokio::sync::Mutex::default(),
        };
        Link {
            client: Arc::new(near),
            serving: Some(Serving {
                stopper,
                ended: Box::pin(async move { serving.await.unwrap() }),
            }),
        }
    }

    fn is_local(&self) -> bool {
        false
    }
}

/// The near end.
#[derive(Debug)]
struct Near {
    inner: MemoryTransport,
    defect: Defect,
    /// Nobody serves any more.
    ended: Arc<AtomicBool>,
    turn: tokio::sync::Mutex<()>,
}

#[async_trait]
impl Endpoint for Near {
    async fn call(&self, peer: &Peer, mut message: Message, body: Option<Body>) -> Reply {
        if let (Defect::LosesTags, Message::TagAgent { tags, .. }) = (self.defect, &mut message) {
            tags.clear();
        }
        let peer = match (self.defect, peer) {
            (Defect::ForgetsPasswords, Peer::Agent { id, .. }) => Peer::Agent {
                id: *id,
                password: Secret(String::new()),
            },
            _ => peer.clone(),
        };
        let body = match (self.defect, body) {
            (Defect::CollectsBodies, Some(body)) => Some(collected(body).await),
            (Defect::ReadsAhead, Some(body)) => Some(ahead(body)),
            (Defect::EndsQuietly, Some(body)) => Some(quiet(body)),
            (Defect::TruncatesBodies, Some(body)) => Some(cut(body)),
            (_, body) => body,
        };
        let _turn = match self.defect {
            Defect::OneAtATime => Some(self.turn.lock().await),
            _ => None,
        };
        if self.defect == Defect::SaysNothing && self.ended.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let inner = self.inner.clone();
        let call = async move { inner.call(&peer, message, body).await };
        let answered = if self.defect == Defect::SwallowsDrops {
            tokio::spawn(call).await.unwrap()
        } else {
            call.await
        };
        match answered {
            Ok((answer, None)) if self.defect == Defect::GivesBodies => {
                Ok((answer, Some(empty_body())))
            }
            Ok((Answer::Offset(_), body)) if self.defect == Defect::RoundsOffsets => {
                Ok((Answer::Offset(4_096), body))
            }
            Ok((answer, Some(body))) if self.defect == Defect::CollectsAnswers => {
                Ok((answer, Some(collected(body).await)))
            }
            Ok((answer, Some(body))) if self.defect == Defect::EndsAnswersQuietly => {
                Ok((answer, Some(quiet(body))))
            }
            Err(refusal) if self.defect == Defect::DropsFaults => Err(Refusal {
                fault: Fault::Us,
                ..refusal
            }),
            Err(refusal) if self.defect == Defect::DropsTimes => Err(Refusal {
                retry_after_ms: None,
                ..refusal
            }),
            answered => answered,
        }
    }
}

/// The far end.
#[derive(Debug)]
struct Far {
    inner: Arc<dyn Endpoint>,
    defect: Defect,
    parked: Mutex<Parked>,
}

/// The body of a call that waits for another one's.
#[derive(Default)]
struct Parked(Option<Body>);

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parked")
    }
}

#[async_trait]
impl Endpoint for Far {
    async fn call(&self, peer: &Peer, message: Message, mut body: Option<Body>) -> Reply {
        let local = match self.defect {
            Defect::TrustsEverybody => &Peer::Local,
            _ => peer,
        };
        if self.defect == Defect::MixesBodies && body.is_some() {
            std::mem::swap(&mut self.parked.lock().unwrap().0, &mut body);
            for _ in 0..20 {
                if body.is_none() {
                    tokio::task::yield_now().await;
                }
            }
            if body.is_none() {
                std::mem::swap(&mut self.parked.lock().unwrap().0, &mut body);
            }
        }
        let read = Arc::new(AtomicBool::new(body.is_none()));
        let body = match self.defect {
            Defect::EndsWithItsCall => body.map(ended_with_its_call),
            Defect::WaitsForBodies => body.map(|body| noted(body, Arc::clone(&read))),
            _ => body,
        };
        let answered = self.inner.call(local, message, body).await;
        if self.defect == Defect::WaitsForBodies && !read.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let (answer, body) = answered?;
        let body = match (self.defect, body) {
            (Defect::KeepsBodies, Some(body)) => {
                let mut kept = ManuallyDrop::new(body);
                Some(stream::poll_fn(move |context| kept.poll_next_unpin(context)).boxed())
            }
            (_, body) => body,
        };
        Ok((answer, body))
    }
}

/// All of a body up to 60 MiB, and then the rest.
async fn collected(body: Body) -> Body {
    let mut body = body.fuse();
    let (mut held, mut length) = (Vec::new(), 0);
    while length < 60 << 20 {
        let Some(piece) = body.next().await else {
            break;
        };
        length += piece.as_ref().map_or(0, Bytes::len);
        held.push(piece);
    }
    stream::iter(held).chain(body).boxed()
}

/// A body that is read before anybody wants it.
fn ahead(mut body: Body) -> Body {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1_000);
    tokio::spawn(async move {
        while let Some(piece) = body.next().await {
            if sender.send(piece).await.is_err() {
                break;
            }
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

/// A body that ends where its call was given up.
fn ended_with_its_call(body: Body) -> Body {
    let is_dropped = |error: &std::io::Error| error.kind() == std::io::ErrorKind::UnexpectedEof;
    let goes_on =
        move |piece: &Result<Bytes, std::io::Error>| ready(!piece.as_ref().is_err_and(is_dropped));
    body.take_while(goes_on).boxed()
}

/// A body of which is noted that it has ended.
fn noted(body: Body, read: Arc<AtomicBool>) -> Body {
    let end = Arc::clone(&read);
    let body = body.inspect_err(move |_| read.store(true, Ordering::SeqCst));
    let end = stream::poll_fn(move |_| {
        end.store(true, Ordering::SeqCst);
        Poll::Ready(None)
    });
    body.chain(end).boxed()
}

/// A body that ends where it should break off.
fn quiet(body: Body) -> Body {
    body.take_while(|piece| ready(piece.is_ok())).boxed()
}

/// The beginning of a body of small pieces.
fn cut(body: Body) -> Body {
    let mut left = 30;
    let take = move |piece: &Result<Bytes, std::io::Error>| {
        let small = piece.as_ref().is_ok_and(|piece| piece.len() <= 1);
        left -= i32::from(small);
        ready(left > 0)
    };
    body.take_while(take).boxed()
}

crate::found! {
    transport, |defect| Bench(defect);
    none: None => [];
    a_lost_field: LosesTags => [messages_of_all_kinds_arrive];
    a_wrong_offset: RoundsOffsets => [
        answers_of_all_kinds_arrive,
        bodies_wait_for_their_reader,
        stopping_finishes_what_runs,
    ];
    a_lost_password: ForgetsPasswords => [who_calls_arrives];
    a_trusted_stranger: TrustsEverybody => [who_calls_arrives];
    a_dropped_fault: DropsFaults => [
        refusals_arrive_whole,
        an_answer_may_come_before_the_body_was_read,
        stopping_waits_for_nobody_who_waits,
        after_the_end_calls_are_refused,
    ];
    a_dropped_time: DropsTimes => [refusals_arrive_whole];
    truncated_bodies: TruncatesBodies => [bodies_arrive_byte_for_byte];
    a_body_held_whole: CollectsBodies => [
        bodies_wait_for_their_reader,
        a_body_that_breaks_off_is_an_error,
        a_body_of_a_call_that_was_dropped_breaks_off,
        stopping_finishes_what_runs,
    ];
    a_body_that_comes_too_early: ReadsAhead => [bodies_wait_for_their_reader];
    an_answers_body_held_whole: CollectsAnswers => [answers_bodies_wait_for_their_reader];
    a_short_success: EndsQuietly => [a_body_that_breaks_off_is_an_error];
    a_short_answer: EndsAnswersQuietly => [
        an_answers_body_that_breaks_off_is_an_error,
    ];
    a_body_that_was_not_given: GivesBodies => [
        an_answer_without_a_body_has_none,
        messages_of_all_kinds_arrive,
        answers_of_all_kinds_arrive,
    ];
    mixed_bodies: MixesBodies => [calls_at_once_are_not_mixed];
    one_call_at_a_time: OneAtATime => [
        a_call_that_waits_holds_up_no_other,
        calls_at_once_are_not_mixed,
    ];
    a_swallowed_cancellation: SwallowsDrops => [
        a_dropped_call_is_given_up,
        a_body_of_a_call_that_was_dropped_breaks_off,
    ];
    a_call_that_ends_its_body: EndsWithItsCall => [
        a_body_of_a_call_that_was_dropped_breaks_off,
    ];
    a_body_that_goes_on: KeepsBodies => [an_answers_body_may_be_dropped];
    an_answer_that_waits: WaitsForBodies => [
        an_answer_may_come_before_the_body_was_read,
        messages_of_all_kinds_arrive,
    ];
    calls_that_are_cut: CutsWhatRuns => [stopping_finishes_what_runs];
    serving_without_end: NeverStops => [
        stopping_waits_for_nobody_who_waits,
        stopping_finishes_what_runs,
        after_the_end_calls_are_refused,
    ];
    silence_after_the_end: SaysNothing => [after_the_end_calls_are_refused];
}
