//! How requests for builds go on: what must be known first is looked up, level by level; then
//! builds are made, inputs before those that need them.
//!
//! Derivations with unfinished builds are in memory already, so that a submission reads only what it
//! brings anew. Both steps are cut into slices, and much may happen between two of them. So each
//! derivation is looked at once more in the moment in which its builds are made; from then on its
//! inputs know that somebody needs them.

use std::sync::Arc;

use grange_model::{BuildSpec, Cause, Digest, FinishedBuild, HookRecord, Key, Record};
use smallvec::SmallVec;

use crate::io::{LookupId, Reply, Ticket};
use crate::look::Look;
use crate::machine::Core;
use crate::request::{Asker, Request, Root, Want};
use crate::slab::Ix;
use crate::tables::Derivation;
use crate::work::Work;

impl Core {
    pub(crate) fn submit(&mut self, ticket: Ticket, builds: Vec<BuildSpec>) {
        let wants = builds.into_iter().map(|spec| Want {
            spec,
            reopen: false,
        });
        let wants = wants.collect();
        self.begin(Request::new(
            Asker::Client(ticket),
            wants,
            self.ledger.committed(),
        ));
    }

    pub(crate) fn hook_done(
        &mut self,
        ticket: Ticket,
        record: HookRecord,
        builds: Vec<BuildSpec>,
        reopen: Vec<FinishedBuild>,
    ) {
        let reopened = reopen.into_iter().map(|finished| {
            let mut spec = finished.build.spec;
            spec.again = false;
            let hook = &record.name;
            spec.cause.get_or_insert_with(|| Cause {
                hook: hook.clone(),
                depth: 1,
            });
            Want { spec, reopen: true }
        });
        let asked = builds.into_iter().map(|spec| Want {
            spec,
            reopen: false,
        });
        let wants = asked.chain(reopened).collect();
        #[cfg(grange_bugs)]
        if self.has_bug(crate::Bug::SkippedFact) {
            self.ledger.put(Record::Hook(record.clone()));
        }
        let asker = Asker::Hook(ticket, record);
        self.begin(Request::new(asker, wants, self.ledger.committed()));
    }

    /// Finds out anew what became of the inputs of a derivation, of which an agent misses some: the
    /// core may have been ended before everybody had heard that an input is lost.
    pub(crate) fn recheck(&mut self, ix: Ix<Derivation>) {
        let derivation = &mut self.derivations[ix];
        if std::mem::replace(&mut derivation.rechecking, true) {
            return;
        }
        let digest = derivation.item.digest;
        let builds = derivation
            .tasks
            .iter()
            .flat_map(|task| &self.tasks[*task].builds);
        let mut builds = builds.map(|build| &self.builds[*build]);
        let model = builds.find(|build| build.ask.inputs);
        let model = model.map(|build| build.spec(digest));
        let asker = Asker::Recheck(ix, self.derivations.generation(ix));
        let mut request = Request::new(asker, Vec::new(), self.ledger.committed());
        let root = Root {
            wants: SmallVec::new(),
            model,
            again: true,
        };
        request.roots.insert(digest, root);
        request.frontier.push(digest);
        request.ahead.push(digest);
        self.begin(request);
    }

    fn begin(&mut self, mut request: Request) {
        // What ended a moment ago is asked for, too: it is remembered for the sake of earlier
        // requests, and may be forgotten before this one is done.
        let unknown = request.wants.iter();
        let unknown = unknown.filter(|want| !self.names.builds.contains_key(&want.spec.id));
        request.asked = unknown.map(|want| Key::Finished(want.spec.id)).collect();
        let id = self.keep(request);
        self.work.push_back(Work::Request(id));
    }

    /// Puts a request away, under a name that was never used before.
    fn keep(&mut self, request: Request) -> LookupId {
        self.next_lookup += 1;
        let id = LookupId(self.next_lookup);
        self.requests.insert(id, request);
        id
    }

    pub(crate) fn found(&mut self, lookup: LookupId, records: Vec<Option<Record>>) {
        let Some(mut request) = self.requests.remove(&lookup) else {
            return;
        };
        if request.asked.is_empty() {
            // It waits for its turn, and for nothing else.
            self.requests.insert(lookup, request);
            return;
        }
        let asked = std::mem::take(&mut request.asked);
        let mut records = records.into_iter();
        for key in asked {
            request.known.learn(key, records.next().flatten());
        }
        let id = self.keep(request);
        self.work.push_back(Work::Request(id));
    }

    /// Goes on with a request.
    pub(crate) fn go_on(&mut self, id: LookupId, slice: usize) {
        let Some(mut request) = self.requests.remove(&id) else {
            return;
        };
        self.look_around(&mut request, slice);
        if request.asked.is_empty() && request.frontier.is_empty() {
            self.make_all(&mut request, slice);
            let all = request.path.is_empty() && request.ahead.is_empty();
            if request.asked.is_empty() && all {
                self.finish(request);
                return;
            }
        }
        let asked = request.asked.clone();
        let id = self.keep(request);
        if asked.is_empty() {
            self.work.push_back(Work::Request(id));
        } else {
            self.ledger.lookup(id, asked);
        }
    }

    /// Makes builds, inputs first, until something must be read or the slice is at its end.
    fn make_all(&mut self, request: &mut Request, slice: usize) {
        while self.edges < slice {
            let Some(step) = request.path.last_mut() else {
                let Some(digest) = request.ahead.pop() else {
                    return;
                };
                request.enter(digest);
                continue;
            };
            self.edges += 1;
            let digest = step.digest;
            if let Some(input) = step.inputs.pop() {
                request.enter(input);
                continue;
            }
            match self.look_at(request, digest) {
                // Something ended between the reading and now.
                Look::Needs(keys) => {
                    request.asked = keys;
                    return;
                }
                Look::Inputs(mut inputs) => {
                    inputs.retain(|input| request.is_undone(*input));
                    if inputs.is_empty() {
                        self.make(request, digest);
                    } else if let Some(step) = request.path.last_mut() {
                        inputs.reverse();
                        step.inputs = inputs;
                    }
                }
            }
        }
    }

    /// Makes what is wanted of the derivation that was entered last, or an implicit build.
    fn make(&mut self, request: &mut Request, digest: Digest) {
        let Some(root) = request.roots.get(&digest) else {
            let made = self.make_implicit(request, digest);
            request.leave(made);
            return;
        };
        request.path.pop();
        let wants = root.wants.clone();
        if !request.holds && matches!(request.asker, Asker::Hook(..)) {
            request.holds = true;
            self.ledger.hold();
        }
        for at in wants {
            let want = request.wants[at].clone();
            let result = self.make_wanted(&request.known, want);
            request.results[at] = Some(result);
        }
        let known = &request.known;
        if let Asker::Recheck(derivation, generation) = request.asker
            && self.derivations.is_current(derivation, generation)
            && let Some(Some(record)) = known.derivations.get(&digest)
        {
            self.take_in(known, &Arc::clone(record));
        }
    }

    fn finish(&mut self, request: Request) {
        for (derivation, generation) in request.made {
            if self.derivations.is_current(derivation, generation) {
                self.maybe_unwanted(derivation);
            }
        }
        let results = request.results.into_iter();
        let results = results.map(|result| result.expect("each is of a root, and roots are made"));
        match request.asker {
            Asker::Client(ticket) => {
                let reply = Reply::Submitted(results.collect());
                self.ledger.reply(ticket, reply);
            }
            Asker::Hook(ticket, record) => {
                self.ledger.put(Record::Hook(record));
                let reply = Reply::Submitted(results.collect());
                self.ledger.reply(ticket, reply);
            }
            Asker::Recheck(derivation, generation) => {
                if self.derivations.is_current(derivation, generation) {
                    self.derivations[derivation].rechecking = false;
                }
            }
        }
        if request.holds {
            self.ledger.release();
        }
        self.forget_recent();
    }
}
