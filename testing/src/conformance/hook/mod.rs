//! Cases for an embedder's own [`Hook`](grange_interfaces::Hook).
//!
//! A hook is given each fact at least once, and what it asks for counts only if it is committed. So
//! the suite asks that it answers a fact that comes again as it did before: a hook that remembers in
//! its process what it was given loses what it asked for when a commit fails. Ids of builds may
//! differ: only one answer is ever committed.

mod cases;
mod histories;

pub use cases::{
    a_fact_that_comes_again_is_answered_again, a_new_process_answers_the_same,
    an_unavailable_history_is_a_retry, facts_of_all_kinds_are_answered, its_name_stays,
    what_is_not_known_is_answered, what_it_asks_for_can_be_done,
    what_it_does_not_want_it_asks_nothing_for,
};
