//! One case for each sentence of a contract.
//!
//! A case is a function that panics where the contract is broken. The macros make a `#[test]` of
//! each; whoever needs a case on its own calls it: `run(datastore::repeating_is_one_commit(&bench))`.

pub mod artifacts;
pub mod datastore;
mod writer;

use std::future::Future;
use std::sync::Arc;

use grange_interfaces::{ArtifactStore, Datastore};

/// What a Datastore's suite runs on: where one is stored. Each case makes its own, empty.
pub trait DatastoreBench: Send + Sync {
    /// What is tested.
    type Store: Datastore + 'static;

    /// Opens it, as a process does that starts. Cases drop what was opened before they open it
    /// again, unless they want to know what two coordinators do to each other.
    fn open(&self) -> impl Future<Output = Arc<Self::Store>> + Send;
}

/// What an ArtifactStore's suite runs on: where one is stored. Each case makes its own, empty.
pub trait ArtifactsBench: Send + Sync {
    /// What is tested.
    type Store: ArtifactStore + 'static;

    /// Opens it, as a process does that starts. Cases drop what was opened before.
    fn open(&self) -> impl Future<Output = Arc<Self::Store>> + Send;
}

/// Runs a case on two threads.
///
/// # Panics
///
/// As the case does, or if no thread can be started.
pub fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the test can start threads")
        .block_on(case);
}

/// Makes a test of each case for a [`Datastore`]: `datastore_conformance!(bench)`, where `bench` is an
/// expression that makes a [`DatastoreBench`].
///
/// [`Datastore`]: grange_interfaces::Datastore
/// [`DatastoreBench`]: crate::conformance::DatastoreBench
#[macro_export]
macro_rules! datastore_conformance {
    ($bench:expr) => {
        $crate::conformance_cases! { datastore, $bench,
            terms_grow, a_new_store_is_empty, exclusive_is_refused_while_another_holds_it,
            a_lower_term_writes_nothing, a_fenced_commit_is_there_or_never_comes,
            a_commit_is_durable, a_commit_is_read_as_a_whole, a_refused_commit_writes_nothing,
            repeating_is_one_commit, gaps_are_refused, later_changes_count,
            removing_nothing_does_nothing, an_empty_batch_is_a_commit,
            load_gives_what_lives, load_gives_each_record_once, load_is_of_one_moment,
            get_keeps_the_order_of_keys, get_gives_what_was_put, facts_come_in_order_and_pages,
            finished_comes_in_order_and_pages, every_filter_filters, finished_follows_changes,
            items_come_in_order_and_pages, items_follow_changes,
            derivations_come_in_order_and_pages,
            counts_follow_changes, every_reader_sees_what_was_acknowledged,
        }
    };
}

/// Makes a test of each case for an [`ArtifactStore`]: `artifacts_conformance!(bench)`, where `bench`
/// is an expression that makes an [`ArtifactsBench`].
///
/// [`ArtifactStore`]: grange_interfaces::ArtifactStore
/// [`ArtifactsBench`]: crate::conformance::ArtifactsBench
#[macro_export]
macro_rules! artifacts_conformance {
    ($bench:expr) => {
        $crate::conformance_cases! { artifacts, $bench,
            append_returns_the_length, append_begins_where_the_upload_ends,
            appends_are_never_mixed, a_body_that_breaks_off_leaves_a_prefix,
            an_append_that_is_given_up_leaves_a_prefix, an_upload_survives_its_process,
            seal_makes_a_blob, seal_survives_its_process, seal_refuses_other_bytes,
            sealing_again_succeeds, nothing_is_sealed_from_nothing, an_empty_blob_is_a_blob,
            ranges_are_cut, large_bodies_stream, what_is_not_there_is_not_found,
            delete_and_discard_are_for_good, lists_are_complete, a_file_is_its_blob,
        }
    };
}

/// What the other two macros expand to.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($suite:ident, $bench:expr, $($case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                let bench = $bench;
                $crate::conformance::run($crate::conformance::$suite::$case(&bench));
            }
        )*
    };
}
