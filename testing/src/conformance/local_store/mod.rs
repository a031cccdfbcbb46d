//! Cases for [`LocalStore`](grange_interfaces::LocalStore).

mod deleting;
mod garbage;
mod imports;
mod items;
mod refused;

pub use deleting::{
    a_deleted_item_is_gone, an_export_is_whole_or_an_error, deleting_leaves_nothing_dangling,
};
pub use garbage::{
    garbage_goes_and_what_is_kept_stays, garbage_stops_when_it_is_enough,
    looking_for_garbage_deletes_nothing, what_is_exported_is_no_garbage,
};
pub use imports::{
    an_import_is_what_is_exported, an_item_may_refer_to_itself, items_outlive_their_process,
    query_keeps_the_order, the_same_import_at_once_is_one, what_is_valid_is_not_read_again,
};
pub(crate) use items::{bytes_of_export, is_valid, salt};
pub use refused::{
    an_import_that_breaks_off_leaves_nothing, an_import_that_is_given_up_leaves_nothing,
    import_demands_references, import_refuses_another_hash, import_refuses_another_size,
    what_is_not_valid_is_not_exported,
};
