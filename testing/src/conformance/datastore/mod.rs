//! Cases for [`Datastore`](grange_interfaces::Datastore), but for what its
//! [`History`](grange_interfaces::History) shows: that is [another suite](super::history).

mod claims;
mod commits;
mod loads;
mod readers;

pub use claims::{
    a_fenced_commit_is_there_or_never_comes, a_lower_term_writes_nothing, a_new_store_is_empty,
    exclusive_is_refused_while_another_holds_it, terms_grow,
};
pub use commits::{
    a_commit_is_durable, a_commit_is_read_as_a_whole, a_refused_commit_writes_nothing,
    an_empty_batch_is_a_commit, gaps_are_refused, removing_nothing_does_nothing,
    repeating_is_one_commit,
};
pub use loads::{load_gives_each_record_once, load_gives_what_lives, load_is_of_one_moment};
pub use readers::every_reader_sees_what_was_acknowledged;
