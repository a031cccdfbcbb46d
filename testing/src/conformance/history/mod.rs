//! Cases for [`History`](grange_interfaces::History), whoever fills it.

mod derivations;
mod filled;
mod finished;
mod items;
mod of_datastore;
mod reads;

pub use derivations::derivations_come_in_order_and_pages;
pub use finished::{
    counts_follow_changes, every_filter_filters, finished_comes_in_order_and_pages,
    finished_follows_changes, lost_outputs_follow_changes,
};
pub use items::{items_come_in_order_and_pages, items_follow_changes};
pub use of_datastore::OfDatastore;
pub use reads::{
    facts_come_in_order_and_pages, get_gives_what_was_put, get_keeps_the_order_of_keys,
    later_changes_count,
};
