//! Cases for whatever gives [`Hook`](grange_interfaces::Hook)s their facts.

mod crashes;
mod order;
mod recorder;
mod requests;
mod trouble;

pub use crashes::{a_cursor_survives_a_crash, what_was_not_taken_comes_after_a_crash};
pub use order::{facts_are_written_before_they_come, facts_come_in_order_and_one_at_a_time};
pub use requests::{hooks_in_a_row_end, requests_are_done_once, requests_say_their_cause};
pub use trouble::{
    a_hook_that_blocks_holds_nothing_up, a_hook_that_does_not_say_what_it_wants_gets_all,
    a_hook_that_panics_takes_nobody_along, a_rejected_fact_holds_back_its_build,
    a_retried_fact_comes_again_before_others, what_a_hook_does_not_want_does_not_come,
};
