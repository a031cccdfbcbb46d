//! Cases for transports: whatever lies between two [`Endpoint`](grange_interfaces::Endpoint)s.

mod bodies;
mod broken;
mod calls;
mod script;
mod stopping;

pub use bodies::{
    an_answer_without_a_body_has_none, answers_bodies_wait_for_their_reader,
    bodies_arrive_byte_for_byte, bodies_wait_for_their_reader,
};
pub use broken::{
    a_body_of_a_call_that_was_dropped_breaks_off, a_body_that_breaks_off_is_an_error,
    a_dropped_call_is_given_up, an_answer_may_come_before_the_body_was_read,
    an_answers_body_may_be_dropped, an_answers_body_that_breaks_off_is_an_error,
};
pub use calls::{
    a_call_that_waits_holds_up_no_other, answers_of_all_kinds_arrive, calls_at_once_are_not_mixed,
    messages_of_all_kinds_arrive, refusals_arrive_whole, who_calls_arrives,
};
pub use stopping::{
    after_the_end_calls_are_refused, stopping_finishes_what_runs,
    stopping_waits_for_nobody_who_waits,
};
