//! Cases for an [`Endpoint`](grange_interfaces::Endpoint) that answers by itself: a coordinator's.
//!
//! "A call may be lost before or after it had its effect: every message can be sent again." So each case
//! sends something, takes the answer for lost, and sends the same again. What lies between two endpoints
//! has [another suite](super::transport).

mod agents;
mod asking;
mod clients;
mod dropped;
mod farm;
mod operators;

pub use agents::{
    a_job_may_be_asked_for_again, a_log_sent_again_is_there_once, a_report_again_is_one_end,
    an_exchange_again_gives_the_same, an_output_sent_again_is_there_once,
};
pub use asking::{a_hello_again_is_answered_again, asking_again_is_answered_again};
pub use clients::{
    a_cancellation_again_is_one_end, a_submission_again_is_one_build, derivations_may_be_put_again,
    items_may_be_put_again,
};
pub use dropped::{a_dropped_call_may_be_made_again, the_body_of_an_answer_may_be_dropped};
pub use operators::{
    a_password_made_again_is_another, an_agent_deleted_again_is_gone, an_agent_made_again_is_one,
    what_is_pruned_again_is_gone, what_is_said_of_an_agent_again_is_so,
};
