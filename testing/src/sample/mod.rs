//! Records, messages and answers to test with. The same number gives the same record.

mod messages;
mod records;

pub use messages::{answers, messages, refusals};
pub use records::{
    agent, agent_id, attempt, attempt_id, blob, build, build_id, cause, derivation,
    derivation_item, digest, fact, facts, failure, finished, history, hook, item, item_record,
    setup_failure, spec, system, tags, upstream_record, uuid,
};
