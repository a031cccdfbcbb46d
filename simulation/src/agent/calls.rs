//! What an agent makes of answers.

use std::time::Duration;

use grange_agent_core::{ExchangeFailure, Input};
use grange_coordinator_core::{DeniedWhy, ExchangeReply, Reply};
use grange_model::{AttemptId, SetupProblem};

use super::life::{End, Purpose, StepEnd, convert};
use crate::event::Event;
use crate::farm::Farm;
use crate::message::{Answer, CallId, Peer};

impl Farm {
    pub(crate) fn agent_hears(&mut self, at: usize, number: u64, answer: Answer) {
        let asleep = self.agents[at].asleep_until;
        if asleep > self.now {
            let id = CallId {
                peer: Peer::Agent(at),
                number,
            };
            self.agenda.put(asleep, Event::Return(id, answer));
            return;
        }
        let Some(purpose) = self.agents[at].calls.remove(&number) else {
            return;
        };
        self.trace.fold(number);
        self.trace.say(self.now, || {
            format!("agent {at} hears {answer:?} of {purpose:?}")
        });
        match purpose {
            Purpose::Exchange(revision) => self.exchange_hears(at, revision, answer),
            Purpose::Inputs(attempt, serial) => {
                if self.is_under_way(at, attempt, serial) {
                    self.inputs_hear(at, attempt, answer);
                }
            }
            Purpose::Upload(attempt, serial, output) => {
                if self.is_under_way(at, attempt, serial) {
                    self.upload_hears(at, attempt, output, &answer);
                }
            }
            Purpose::Report(attempt, serial) => {
                if self.is_under_way(at, attempt, serial) {
                    self.report_hears(at, attempt, answer);
                }
            }
        }
    }

    fn is_under_way(&self, at: usize, attempt: AttemptId, serial: u64) -> bool {
        let run = self.agents[at].runs.get(&attempt);
        run.is_some_and(|run| run.serial == serial)
    }

    fn exchange_hears(&mut self, at: usize, revision: u64, answer: Answer) {
        self.agents[at].exchange = None;
        let failure = match answer {
            Answer::Core(Reply::Exchange(told)) => return self.obey(at, revision, told),
            Answer::Core(Reply::Denied(denied)) if denied.why == DeniedWhy::NotFound => {
                ExchangeFailure::Forbidden
            }
            _ => ExchangeFailure::Unreachable { retry_after: None },
        };
        self.tell_agent(at, Input::ExchangeFailed { revision, failure });
    }

    fn obey(&mut self, at: usize, revision: u64, told: ExchangeReply) {
        let agent = &mut self.agents[at];
        for assignment in &told.assign {
            agent.known.insert(assignment.attempt, assignment.clone());
        }
        let input = Input::Answered {
            revision,
            assign: told.assign.iter().map(convert).collect(),
            drop: told.drop,
            lease: Duration::from_millis(told.lease_ms),
        };
        self.tell_agent(at, input);
    }

    fn inputs_hear(&mut self, at: usize, attempt: AttemptId, answer: Answer) {
        let problem = match answer {
            Answer::Missing(missing) if !missing.is_empty() => SetupProblem::MissingInputs(missing),
            Answer::Missing(_) => {
                let agent = &mut self.agents[at];
                if !agent.dice.per_mille(agent.plan.setup_failures) {
                    let time = agent.dice.between(100, 500_000);
                    let (life, serial) = (agent.life, agent.runs[&attempt].serial);
                    let step = Event::Step(at, life, attempt, serial, StepEnd::Prepared);
                    self.agenda.put(self.now.plus(time), step);
                    return;
                }
                SetupProblem::DiskFull
            }
            _ => return self.broken(at, attempt),
        };
        if let Some(run) = self.agents[at].runs.get_mut(&attempt) {
            run.end = Some(End::Setup(problem));
        }
        self.tell_agent(at, Input::SetupFailed(attempt));
    }

    fn report_hears(&mut self, at: usize, attempt: AttemptId, answer: Answer) {
        match answer {
            Answer::Core(Reply::Done) => self.tell_agent(at, Input::Accepted(attempt)),
            Answer::Core(Reply::Denied(denied)) if denied.why == DeniedWhy::Wrong => {
                // The coordinator is told that there will be no result: it would count on it for ever.
                if let Some(run) = self.agents[at].runs.get_mut(&attempt) {
                    run.end = Some(End::Setup(SetupProblem::Other));
                }
                self.broken(at, attempt);
            }
            Answer::Void | Answer::Lie => self.tell_agent(at, Input::Refused(attempt)),
            _ => self.broken(at, attempt),
        }
    }
}
