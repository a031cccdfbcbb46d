//! What the coordinator's endpoint does with a call.

use grange_coordinator_core::{AgentChange, Input};
use grange_model::{Digest, ItemRecord, Record};

use super::run::Purpose;
use crate::disk::{Content, Upload};
use crate::event::{Event, Instance};
use crate::farm::Farm;
use crate::invariants::Asked;
use crate::message::{Answer, Call, CallId, Peer};
use crate::violation::Violation;

impl Farm {
    pub(crate) fn arrive(&mut self, id: CallId, call: Call) -> Result<(), Violation> {
        self.trace.fold(id.number);
        self.trace
            .say(self.now, || format!("{id:?} arrives: {call:?}"));
        let Some(instance) = self.coordinators.hears(id) else {
            self.breaks(id);
            return Ok(());
        };
        let purpose = Purpose::Call(id);
        match call {
            Call::Submit(builds) => {
                let asked = Asked::Submit(builds.clone());
                self.request(instance, purpose, asked, |ticket| Input::Submit {
                    ticket,
                    builds,
                })
            }
            Call::Cancel(build) => {
                self.request(instance, purpose, Asked::Cancel(build), |ticket| {
                    Input::Cancel {
                        ticket,
                        builds: vec![build],
                    }
                })
            }
            Call::Send(output) => self.take_source(instance, id, output),
            Call::Prune(derivation) => self.prune(instance, id, derivation),
            Call::Pause(agent, paused) => {
                self.request(instance, purpose, Asked::Other, |ticket| Input::Agent {
                    ticket,
                    agent,
                    change: AgentChange::Pause(paused),
                })
            }
            Call::Exchange(exchange) => {
                let Some(run) = self.run(instance) else {
                    return Ok(());
                };
                let ticket = run.ticket(purpose, Asked::Other);
                run.exchanges.insert(id, ticket);
                let exchange = *exchange;
                self.tell(instance, Input::Exchange { ticket, exchange })
            }
            Call::HangUp(number) => self.hang_up(instance, CallId { number, ..id }),
            Call::Inputs(derivation) => {
                let missing = self.missing(derivation);
                self.answer(id, Answer::Missing(missing));
                Ok(())
            }
            Call::Offset(upload) => {
                let answer = if self.owns(instance, id, upload) {
                    Answer::Offset(self.disk.offset(upload))
                } else {
                    Answer::Void
                };
                self.answer(id, answer);
                Ok(())
            }
            Call::Append {
                upload,
                offset,
                pieces,
            } => {
                let answer = if !self.owns(instance, id, upload) {
                    Answer::Void
                } else if self.coordinators.full_until > self.now {
                    Answer::Busy
                } else {
                    Answer::Offset(self.disk.append(upload, offset, &pieces))
                };
                self.answer(id, answer);
                Ok(())
            }
            Call::Report(attempt, claim) => {
                let owns = self.owns(instance, id, (attempt, 0));
                let Some(run) = self.run(instance) else {
                    return Ok(());
                };
                if !owns {
                    self.answer(id, Answer::Void);
                } else if run.verifying.insert(attempt) {
                    let at = self.now.plus(self.coordinators.dice.between(50, 300_000));
                    self.agenda
                        .put(at, Event::Verified(instance, id, attempt, claim));
                } else {
                    self.answer(id, Answer::Busy);
                }
                Ok(())
            }
        }
    }

    /// Whether the attempt is still one, and who calls holds it.
    pub(crate) fn owns(&self, instance: Instance, id: CallId, (attempt, _): Upload) -> bool {
        let Peer::Agent(at) = id.peer else {
            return false;
        };
        let agent = self.agents[at].plan.id;
        let run = self.coordinators.runs.get(&instance);
        run.is_some_and(|run| run.core.attempt(agent, attempt).is_some())
    }

    fn missing(&self, derivation: Digest) -> Vec<Digest> {
        let Some(record) = self.store.derivation(derivation) else {
            return Vec::new();
        };
        let inputs = record.inputs.iter().map(|input| input.output);
        inputs
            .filter(|output| !self.store.has_item(*output))
            .collect()
    }

    /// A client sends only what is lacking, as far as the coordinator knows.
    fn take_source(
        &mut self,
        instance: Instance,
        id: CallId,
        output: Digest,
    ) -> Result<(), Violation> {
        let item = self.items.get(&output).cloned();
        let Some(item) = item.filter(|_| !self.store.has_item(output)) else {
            self.answer(id, Answer::Offset(0));
            return Ok(());
        };
        let content = Content::fixed(output);
        let (nar_hash, nar_size) = (content.nar_hash(), content.size());
        let blob = self.disk.put(content);
        let record = ItemRecord {
            item,
            store: "/gnu/store".to_owned(),
            nar_hash,
            nar_size,
            references: Vec::new(),
            deriver: None,
            blob,
            blob_size: 50,
        };
        self.request(instance, Purpose::Call(id), Asked::Other, |ticket| {
            Input::Store {
                ticket,
                records: vec![Record::Item(record)],
            }
        })
    }

    fn prune(
        &mut self,
        instance: Instance,
        id: CallId,
        derivation: Digest,
    ) -> Result<(), Violation> {
        let record = self.store.derivation(derivation);
        let outputs = record.into_iter().flat_map(|record| &record.outputs);
        let outputs = outputs.map(|output| output.item.digest);
        let outputs: Vec<_> = outputs
            .filter(|output| self.store.has_item(*output))
            .collect();
        if outputs.is_empty() {
            self.answer(id, Answer::Offset(0));
            return Ok(());
        }
        self.request(instance, Purpose::Call(id), Asked::Other, |ticket| {
            Input::Prune { ticket, outputs }
        })
    }

    fn hang_up(&mut self, instance: Instance, id: CallId) -> Result<(), Violation> {
        let Some(run) = self.run(instance) else {
            return Ok(());
        };
        let Some(ticket) = run.exchanges.remove(&id) else {
            return Ok(());
        };
        run.waiting.remove(&ticket);
        self.tell(instance, Input::Forget { ticket })
    }
}
