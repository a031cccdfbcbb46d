//! Outputs go that nobody needs now.
//!
//! An output is deleted only if no unfinished build makes or needs it: attempts may be reading it, and
//! what they make may refer to whatever it refers to. The core does not know what items refer to;
//! so it deletes all of what it is handed, or nothing. Counter-example for deleting what it can: `a`
//! refers to `b`, both are to go, and a build that was submitted in this moment needs `a`. If `b` went
//! alone, the build would get an input that is not whole.

use grange_model::{Digest, Fact, Key};

use crate::io::{Denied, DeniedWhy, Reply, Ticket};
use crate::machine::Core;
use crate::tables::Presence;

/// How many outputs may go at once: more would take a call too long.
pub const MAX_PRUNED: usize = 1_000;

impl Core {
    pub(crate) fn prune(&mut self, ticket: Ticket, outputs: Vec<Digest>) {
        if let Some(denied) = too_many(&outputs) {
            self.ledger.reply(ticket, denied);
            return;
        }
        let needed = self.needed(&outputs);
        if needed.is_empty() {
            for output in outputs {
                // Whoever has read that it is available and has not acted on it yet hears that it is not.
                let upcoming = self.ledger.upcoming();
                self.recent.output(upcoming, output, Presence::Absent);
                self.ledger.remove(Key::Item(output));
                self.ledger.fact(Fact::Pruned { output });
            }
        }
        self.ledger.reply(ticket, Reply::Pruned(needed));
    }

    /// Forgets outputs that others had: a build that needs one stays ready, its agent misses it, and whoever hears of that
    /// may have it built.
    pub(crate) fn gone_upstream(&mut self, ticket: Ticket, outputs: Vec<Digest>) {
        if let Some(denied) = too_many(&outputs) {
            self.ledger.reply(ticket, denied);
            return;
        }
        for output in outputs {
            self.ledger.remove(Key::Upstream(output));
            let node = self.find_output(output);
            let live = node.map(|ix| self.outputs[ix].presence);
            if live.or_else(|| self.recent.presence(output)) == Some(Presence::Available) {
                // It has been brought here meanwhile.
                continue;
            }
            let upcoming = self.ledger.upcoming();
            self.recent.output(upcoming, output, Presence::Absent);
            self.ledger.fact(Fact::GoneUpstream { output });
            if let Some(ix) = node {
                self.change_output(ix, |node| node.presence = Presence::Absent);
            }
        }
        self.ledger.reply(ticket, Reply::Done);
    }

    /// Those of the outputs that unfinished builds make or need, in the order given.
    #[must_use]
    pub fn needed(&self, outputs: &[Digest]) -> Vec<Digest> {
        let known = |output: &&Digest| self.find_output(**output).is_some();
        outputs.iter().filter(known).copied().collect()
    }
}

fn too_many(outputs: &[Digest]) -> Option<Reply> {
    let denied = Denied {
        why: DeniedWhy::Wrong,
        message: format!("at most {MAX_PRUNED} outputs go at once"),
    };
    (outputs.len() > MAX_PRUNED).then_some(Reply::Denied(denied))
}
