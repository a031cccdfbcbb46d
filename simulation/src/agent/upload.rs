//! Outputs, from an agent's disk to the coordinator's.

use grange_agent_core::Input;
use grange_model::AttemptId;

use super::life::{End, Made, Purpose};
use crate::farm::Farm;
use crate::message::{Answer, Call};

impl Farm {
    /// The result is on disk, and is sent from there.
    pub(super) fn spooled(&mut self, at: usize, attempt: AttemptId) {
        let agent = &mut self.agents[at];
        let Some(run) = agent.runs.get(&attempt) else {
            return;
        };
        let Some(End::Made(made)) = run.end.clone() else {
            return;
        };
        agent.spool.insert(attempt, (run.assignment.clone(), made));
        self.send(at, attempt, 0);
    }

    /// Asks where the upload of an output stands; behind the last one there is no more.
    fn send(&mut self, at: usize, attempt: AttemptId, output: usize) {
        let Some(run) = self.agents[at].runs.get(&attempt) else {
            return;
        };
        let serial = run.serial;
        match &run.end {
            Some(End::Made(Made::Outputs(contents, _))) if output < contents.len() => {
                let purpose = Purpose::Upload(attempt, serial, output);
                self.agent_calls(at, purpose, Call::Offset((attempt, output)));
            }
            _ => self.tell_agent(at, Input::Uploaded(attempt)),
        }
    }

    pub(super) fn upload_hears(
        &mut self,
        at: usize,
        attempt: AttemptId,
        output: usize,
        answer: &Answer,
    ) {
        let Some(run) = self.agents[at].runs.get(&attempt) else {
            return;
        };
        let serial = run.serial;
        let Some(End::Made(Made::Outputs(contents, _))) = &run.end else {
            return;
        };
        match answer {
            Answer::Offset(offset) if *offset >= contents[output].0.len() => {
                self.send(at, attempt, output + 1);
            }
            Answer::Offset(offset) => {
                let rest = &contents[output].0[*offset..];
                let pieces = rest[..rest.len().min(2)].to_vec();
                let call = Call::Append {
                    upload: (attempt, output),
                    offset: *offset,
                    pieces,
                };
                self.agent_calls(at, Purpose::Upload(attempt, serial, output), call);
            }
            Answer::Void => self.tell_agent(at, Input::Refused(attempt)),
            _ => self.broken(at, attempt),
        }
    }

    pub(super) fn broken(&mut self, at: usize, attempt: AttemptId) {
        let input = Input::Broken {
            attempt,
            retry_after: None,
        };
        self.tell_agent(at, input);
    }
}
