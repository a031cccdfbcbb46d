//! Cases for [`Datastore`](grange_interfaces::Datastore) and [`History`](grange_interfaces::History).

mod claims;
mod commits;
mod derivations;
mod finished;
mod items;
mod loads;
mod reads;

pub use claims::{
    a_fenced_commit_is_there_or_never_comes, a_lower_term_writes_nothing, a_new_store_is_empty,
    exclusive_is_refused_while_another_holds_it, terms_grow,
};
pub use commits::{
    a_commit_is_durable, a_commit_is_read_as_a_whole, a_refused_commit_writes_nothing,
    an_empty_batch_is_a_commit, gaps_are_refused, later_changes_count,
    removing_nothing_does_nothing, repeating_is_one_commit,
};
pub use derivations::derivations_come_in_order_and_pages;
pub use finished::{
    counts_follow_changes, every_filter_filters, finished_comes_in_order_and_pages,
    finished_follows_changes,
};
pub use items::{items_come_in_order_and_pages, items_follow_changes};
pub use loads::{load_gives_each_record_once, load_gives_what_lives, load_is_of_one_moment};
pub use reads::{
    every_reader_sees_what_was_acknowledged, facts_come_in_order_and_pages, get_gives_what_was_put,
    get_keeps_the_order_of_keys,
};
