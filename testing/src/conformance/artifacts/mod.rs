//! Cases for [`ArtifactStore`](grange_interfaces::ArtifactStore).

mod blobs;
mod support;
mod uploads;

pub use blobs::{
    a_blob_is_there_as_a_whole, a_file_is_its_blob, an_empty_blob_is_a_blob,
    delete_and_discard_are_for_good, large_bodies_stream, lists_are_complete,
    nothing_is_sealed_from_nothing, ranges_are_cut, seal_makes_a_blob, seal_refuses_other_bytes,
    seal_survives_its_process, sealing_again_succeeds, what_is_not_there_is_not_found,
};
pub(crate) use support::{body, noise};
pub use uploads::{
    a_body_that_breaks_off_leaves_a_prefix, an_append_that_is_given_up_leaves_a_prefix,
    an_upload_survives_its_process, append_begins_where_the_upload_ends, append_returns_the_length,
    appends_are_never_mixed,
};
