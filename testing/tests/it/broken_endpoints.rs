//! The coordinator's endpoint keeps the contract. Each of the others breaks one sentence of it, and the case for that
//! sentence fails.

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use grange_coordinator::{Coordinator, CoordinatorConfig, Parts, SystemClock, Upstreams};
use grange_interfaces::message::{Answer, Message};
use grange_interfaces::{Body, Claim, Endpoint, Fault, Peer, Refusal};
use grange_model::{AgentId, BuildId};
use grange_testing::conformance::{EndpointBench, Served};
use grange_testing::{MemoryArtifacts, MemoryDatastore};
use uuid::Uuid;

type Reply = Result<(Answer, Option<Body>), Refusal>;

mod of_the_coordinator {
    use super::*;

    grange_testing::endpoint_conformance!(Defect::None);
}

/// What is wrong with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing: no case fails.
    None,
    /// Has been greeted.
    GreetsOnce,
    /// Makes an agent of each question for the counts.
    CountsQuestions,
    /// Has the derivations already.
    TakesDerivationsOnce,
    /// Has the items already.
    TakesItemsOnce,
    /// Takes the same submission for another one.
    MintsIds,
    /// Cancels what is unfinished, and nothing else.
    CancelsOnce,
    /// Answers an exchange once.
    AnswersExchangesOnce,
    /// Has told of the job.
    GivesJobsOnce,
    /// Appends to a log, wherever it is said to begin.
    AppendsLogs,
    /// Refuses output bytes that it has.
    RefusesUploads,
    /// Takes a second report for an agent's mistake.
    BlamesAgents,
    /// Takes the same agent for another one.
    MintsAgents,
    /// Has one password for an agent.
    KeepsOnePassword,
    /// Lets an agent that is paused once more go on.
    TogglesPauses,
    /// Does not know the agent that was deleted.
    DeletesOnce,
    /// Does not prune what it has pruned.
    PrunesOnce,
    /// Waits for ever for a call that was dropped.
    StaysLocked,
    /// Sends an item to the end before it sends it to anybody else.
    SendsItemsOnce,
}

impl EndpointBench for Defect {
    async fn start(&self) -> Served {
        let parts = Parts {
            datastore: Arc::new(MemoryDatastore::new()),
            artifacts: Arc::new(MemoryArtifacts::new()),
            clock: Arc::new(SystemClock),
            upstreams: Upstreams::default(),
            hooks: Vec::new(),
            seed: 1,
            claim: Claim::Exclusive,
        };
        let coordinator = Coordinator::start(CoordinatorConfig::default(), parts).await;
        let coordinator = coordinator.unwrap();
        let endpoint: Arc<dyn Endpoint> = match self {
            Self::None => coordinator.endpoint(),
            _ => Arc::new(Broken {
                inner: coordinator.endpoint(),
                defect: *self,
                heard: Mutex::default(),
                turn: tokio::sync::Mutex::default(),
                sending: Arc::default(),
            }),
        };
        Served {
            endpoint,
            guard: Box::new(coordinator),
        }
    }
}

#[derive(Debug)]
struct Broken {
    inner: Arc<dyn Endpoint>,
    defect: Defect,
    /// What was said so far.
    heard: Mutex<Vec<Message>>,
    turn: tokio::sync::Mutex<()>,
    /// Items that are on their way.
    sending: Arc<AtomicU32>,
}

impl Broken {
    /// Whether the same was said before.
    fn is_repeated(&self, message: &Message) -> bool {
        let mut heard = self.heard.lock().unwrap();
        let repeated = heard.contains(message);
        heard.push(message.clone());
        repeated
    }

    async fn ask(&self, message: Message) -> Result<Answer, Refusal> {
        let asked = self.inner.call(&Peer::Local, message, None).await;
        asked.map(|(answer, _)| answer)
    }
}

fn refused(fault: Fault) -> Reply {
    Err(Refusal::new(fault, "it was said before"))
}

#[async_trait]
impl Endpoint for Broken {
    async fn call(&self, peer: &Peer, mut message: Message, body: Option<Body>) -> Reply {
        let repeated = self.is_repeated(&message);
        match (self.defect, &mut message) {
            (Defect::GreetsOnce, Message::Hello { .. })
            | (Defect::TakesDerivationsOnce, Message::PutDerivations)
            | (Defect::TakesItemsOnce, Message::PutItems { .. })
            | (Defect::AnswersExchangesOnce, Message::Exchange(_))
            | (Defect::GivesJobsOnce, Message::Job { .. })
            | (Defect::RefusesUploads, Message::AppendUpload { .. })
                if repeated =>
            {
                return refused(Fault::Conflict);
            }
            (Defect::CancelsOnce, Message::Cancel { .. })
            | (Defect::DeletesOnce, Message::DeleteAgent { .. })
            | (Defect::PrunesOnce, Message::Prune(_))
                if repeated =>
            {
                return refused(Fault::NotFound);
            }
            (Defect::CountsQuestions, Message::Counts) => {
                let agent = AgentId(Uuid::now_v7());
                let name = "nobody".into();
                self.ask(Message::NewAgent { agent, name }).await?;
            }
            (Defect::MintsIds, Message::Submit { builds }) if repeated => {
                for build in builds {
                    build.id = BuildId(Uuid::now_v7());
                }
            }
            (Defect::AppendsLogs, Message::AppendLog { attempt, offset }) => {
                let asked = Message::LogOffset { attempt: *attempt };
                let (answer, _) = self.inner.call(peer, asked, None).await?;
                if let Answer::Offset(end) = answer {
                    *offset = end;
                }
            }
            (Defect::MintsAgents, Message::NewAgent { agent, .. }) if repeated => {
                *agent = AgentId(Uuid::now_v7());
            }
            (Defect::KeepsOnePassword, Message::NewPassword { agent }) => {
                self.ask(Message::RevokePasswords { agent: *agent }).await?;
            }
            (Defect::TogglesPauses, Message::PauseAgent { paused, .. }) if repeated => {
                *paused = !*paused;
            }
            _ => {}
        }
        if matches!(message, Message::FetchItem { .. }) && self.defect == Defect::SendsItemsOnce {
            return self.send_item(peer, message).await;
        }
        if self.defect != Defect::StaysLocked {
            return self.answer(peer, message, body, repeated).await;
        }
        let turn = ManuallyDrop::new(self.turn.lock().await);
        let answered = self.answer(peer, message, body, repeated).await;
        drop(ManuallyDrop::into_inner(turn));
        answered
    }
}

impl Broken {
    async fn answer(
        &self,
        peer: &Peer,
        message: Message,
        body: Option<Body>,
        repeated: bool,
    ) -> Reply {
        let (mut answer, body) = self.inner.call(peer, message, body).await?;
        if self.defect == Defect::BlamesAgents
            && repeated
            && let Answer::Reported(answers) = &mut answer
        {
            for refusal in answers.iter_mut().flatten() {
                refusal.fault = Fault::Caller;
            }
        }
        Ok((answer, body))
    }

    async fn send_item(&self, peer: &Peer, message: Message) -> Reply {
        if self.sending.load(Ordering::SeqCst) > 0 {
            return refused(Fault::Busy);
        }
        let (answer, body) = self.inner.call(peer, message, None).await?;
        let sending = Arc::clone(&self.sending);
        sending.fetch_add(1, Ordering::SeqCst);
        let end = stream::poll_fn(move |_| {
            sending.store(0, Ordering::SeqCst);
            std::task::Poll::Ready(None)
        });
        Ok((answer, body.map(|body| body.chain(end).boxed())))
    }
}

crate::found! {
    endpoint, |defect: Defect| defect;
    none: None => [];
    a_greeting_that_is_too_much: GreetsOnce => [a_hello_again_is_answered_again];
    a_question_that_is_counted: CountsQuestions => [asking_again_is_answered_again];
    derivations_that_are_there: TakesDerivationsOnce => [derivations_may_be_put_again];
    items_that_are_there: TakesItemsOnce => [items_may_be_put_again];
    another_build: MintsIds => [
        a_submission_again_is_one_build,
        a_dropped_call_may_be_made_again,
    ];
    a_build_that_has_ended: CancelsOnce => [a_cancellation_again_is_one_end];
    an_exchange_that_was_answered: AnswersExchangesOnce => [an_exchange_again_gives_the_same];
    a_job_that_was_told: GivesJobsOnce => [a_job_may_be_asked_for_again];
    bytes_that_come_twice: AppendsLogs => [a_log_sent_again_is_there_once];
    bytes_that_are_there: RefusesUploads => [an_output_sent_again_is_there_once];
    a_report_that_is_a_mistake: BlamesAgents => [a_report_again_is_one_end];
    another_agent: MintsAgents => [an_agent_made_again_is_one];
    one_password: KeepsOnePassword => [a_password_made_again_is_another];
    a_pause_that_ends: TogglesPauses => [what_is_said_of_an_agent_again_is_so];
    an_agent_that_is_gone: DeletesOnce => [an_agent_deleted_again_is_gone];
    outputs_that_are_gone: PrunesOnce => [
        what_is_pruned_again_is_gone,
        asking_again_is_answered_again,
    ];
    a_lock_that_is_left: StaysLocked => [a_dropped_call_may_be_made_again];
    a_body_that_was_dropped: SendsItemsOnce => [
        the_body_of_an_answer_may_be_dropped,
        asking_again_is_answered_again,
    ];
}
