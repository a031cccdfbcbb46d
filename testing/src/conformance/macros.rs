//! What makes tests of cases.

/// Makes a test of each case for a [`Datastore`] and its [`History`]: `datastore_conformance!(bench)`,
/// where `bench` is an expression that makes a [`DatastoreBench`].
///
/// [`Datastore`]: grange_interfaces::Datastore
/// [`History`]: grange_interfaces::History
/// [`DatastoreBench`]: crate::conformance::DatastoreBench
#[macro_export]
macro_rules! datastore_conformance {
    ($bench:expr) => {
        $crate::datastore_cases! { [$crate::conformance_tests] datastore, $bench }
        $crate::history_conformance! { $crate::conformance::OfDatastore::new($bench) }
    };
}

/// Makes a test of each case for a [`History`] alone, such as a replica that is only read:
/// `history_conformance!(bench)`, where `bench` is an expression that makes a [`HistoryBench`].
///
/// [`History`]: grange_interfaces::History
/// [`HistoryBench`]: crate::conformance::HistoryBench
#[macro_export]
macro_rules! history_conformance {
    ($bench:expr) => {
        $crate::history_cases! { [$crate::conformance_tests] history, $bench }
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
        $crate::artifacts_cases! { [$crate::conformance_tests] artifacts, $bench }
    };
}

/// Makes a test of each case for a transport: `transport_conformance!(bench)`, where `bench` is an
/// expression that makes a [`TransportBench`].
///
/// [`TransportBench`]: crate::conformance::TransportBench
#[macro_export]
macro_rules! transport_conformance {
    ($bench:expr) => {
        $crate::transport_cases! { [$crate::conformance_tests] transport, $bench }
    };
}

/// Makes a test of each case for an [`Endpoint`] that answers by itself, as a coordinator's:
/// `endpoint_conformance!(bench)`, where `bench` is an expression that makes an [`EndpointBench`].
///
/// [`Endpoint`]: grange_interfaces::Endpoint
/// [`EndpointBench`]: crate::conformance::EndpointBench
#[macro_export]
macro_rules! endpoint_conformance {
    ($bench:expr) => {
        $crate::endpoint_cases! { [$crate::conformance_tests] endpoint, $bench }
    };
}

/// Makes a test of each case for a [`LocalStore`]: `local_store_conformance!(bench)`, where `bench` is
/// an expression that makes a [`LocalStoreBench`].
///
/// [`LocalStore`]: grange_interfaces::LocalStore
/// [`LocalStoreBench`]: crate::conformance::LocalStoreBench
#[macro_export]
macro_rules! local_store_conformance {
    ($bench:expr) => {
        $crate::local_store_cases! { [$crate::conformance_tests] local_store, $bench }
    };
}

/// Makes a test of each case for a [`Builder`]: `builder_conformance!(bench)`, where `bench` is an
/// expression that makes a [`BuilderBench`].
///
/// [`Builder`]: grange_interfaces::Builder
/// [`BuilderBench`]: crate::conformance::BuilderBench
#[macro_export]
macro_rules! builder_conformance {
    ($bench:expr) => {
        $crate::builder_cases! { [$crate::conformance_tests] builder, $bench }
    };
}

/// Makes a test of each case for a [`Policy`]: `policy_conformance!(bench)`, where `bench` is an expression
/// that makes a [`PolicyBench`].
///
/// [`Policy`]: grange_coordinator_core::Policy
/// [`PolicyBench`]: crate::conformance::PolicyBench
#[macro_export]
macro_rules! policy_conformance {
    ($bench:expr) => {
        $crate::policy_cases! { [$crate::conformance_tests] policy, $bench }
    };
}

/// Makes a test of each case for an embedder's own [`Hook`]: `hook_conformance!(bench)`, where `bench`
/// is an expression that makes a [`HookBench`].
///
/// [`Hook`]: grange_interfaces::Hook
/// [`HookBench`]: crate::conformance::HookBench
#[macro_export]
macro_rules! hook_conformance {
    ($bench:expr) => {
        $crate::hook_cases! { [$crate::conformance_tests] hook, $bench }
    };
}

/// Makes a test of each case for whatever gives hooks their facts: `delivery_conformance!(bench)`,
/// where `bench` is an expression that makes a [`DeliveryBench`].
///
/// [`DeliveryBench`]: crate::conformance::DeliveryBench
#[macro_export]
macro_rules! delivery_conformance {
    ($bench:expr) => {
        $crate::delivery_cases! { [$crate::conformance_tests] delivery, $bench }
    };
}

/// The names of the cases that fail, in the order of the suite: `failing_cases!(datastore, bench)`,
/// where `bench` is evaluated for each case. They run in virtual time ([`conformance::fails`]).
///
/// For those who want to see a suite find what they broke on purpose.
///
/// [`conformance::fails`]: crate::conformance::fails
#[macro_export]
macro_rules! failing_cases {
    (datastore, $bench:expr) => {
        $crate::datastore_cases! { [$crate::conformance_failing] datastore, $bench }
    };
    (history, $bench:expr) => {
        $crate::history_cases! { [$crate::conformance_failing] history, $bench }
    };
    (artifacts, $bench:expr) => {
        $crate::artifacts_cases! { [$crate::conformance_failing] artifacts, $bench }
    };
    (transport, $bench:expr) => {
        $crate::transport_cases! { [$crate::conformance_failing] transport, $bench }
    };
    (endpoint, $bench:expr) => {
        $crate::endpoint_cases! { [$crate::conformance_failing] endpoint, $bench }
    };
    (local_store, $bench:expr) => {
        $crate::local_store_cases! { [$crate::conformance_failing] local_store, $bench }
    };
    (builder, $bench:expr) => {
        $crate::builder_cases! { [$crate::conformance_failing] builder, $bench }
    };
    (hook, $bench:expr) => {
        $crate::hook_cases! { [$crate::conformance_failing] hook, $bench }
    };
    (policy, $bench:expr) => {
        $crate::policy_cases! { [$crate::conformance_failing] policy, $bench }
    };
    (delivery, $bench:expr) => {
        $crate::delivery_cases! { [$crate::conformance_failing] delivery, $bench }
    };
}

/// The names of the cases of a suite, in its order: `suite_cases!(datastore)`.
#[macro_export]
macro_rules! suite_cases {
    (datastore) => {
        $crate::datastore_cases! { [$crate::conformance_names] datastore }
    };
    (history) => {
        $crate::history_cases! { [$crate::conformance_names] history }
    };
    (artifacts) => {
        $crate::artifacts_cases! { [$crate::conformance_names] artifacts }
    };
    (transport) => {
        $crate::transport_cases! { [$crate::conformance_names] transport }
    };
    (endpoint) => {
        $crate::endpoint_cases! { [$crate::conformance_names] endpoint }
    };
    (local_store) => {
        $crate::local_store_cases! { [$crate::conformance_names] local_store }
    };
    (builder) => {
        $crate::builder_cases! { [$crate::conformance_names] builder }
    };
    (hook) => {
        $crate::hook_cases! { [$crate::conformance_names] hook }
    };
    (policy) => {
        $crate::policy_cases! { [$crate::conformance_names] policy }
    };
    (delivery) => {
        $crate::delivery_cases! { [$crate::conformance_names] delivery }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! datastore_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            terms_grow, a_new_store_is_empty, exclusive_is_refused_while_another_holds_it,
            a_lower_term_writes_nothing, a_fenced_commit_is_there_or_never_comes,
            a_commit_is_durable, a_commit_is_read_as_a_whole, a_refused_commit_writes_nothing,
            repeating_is_one_commit, gaps_are_refused, removing_nothing_does_nothing,
            an_empty_batch_is_a_commit, load_gives_what_lives, load_gives_each_record_once,
            load_is_of_one_moment, every_reader_sees_what_was_acknowledged,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! history_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            get_keeps_the_order_of_keys, get_gives_what_was_put, later_changes_count,
            facts_come_in_order_and_pages, finished_comes_in_order_and_pages,
            every_filter_filters, finished_follows_changes, items_come_in_order_and_pages,
            items_follow_changes, derivations_come_in_order_and_pages, counts_follow_changes,
            lost_outputs_follow_changes,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! artifacts_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            append_returns_the_length, append_begins_where_the_upload_ends,
            appends_are_never_mixed, a_body_that_breaks_off_leaves_a_prefix,
            an_append_that_is_given_up_leaves_a_prefix, an_upload_survives_its_process,
            seal_makes_a_blob, a_blob_is_there_as_a_whole, seal_survives_its_process,
            seal_refuses_other_bytes, sealing_again_succeeds, nothing_is_sealed_from_nothing,
            an_empty_blob_is_a_blob, ranges_are_cut, large_bodies_stream,
            what_is_not_there_is_not_found, delete_and_discard_are_for_good, lists_are_complete,
            a_file_is_its_blob,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! transport_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            messages_of_all_kinds_arrive, answers_of_all_kinds_arrive, who_calls_arrives,
            refusals_arrive_whole, calls_at_once_are_not_mixed,
            a_call_that_waits_holds_up_no_other, bodies_arrive_byte_for_byte,
            an_answer_without_a_body_has_none, bodies_wait_for_their_reader,
            answers_bodies_wait_for_their_reader, a_body_that_breaks_off_is_an_error,
            an_answers_body_that_breaks_off_is_an_error, a_dropped_call_is_given_up,
            a_body_of_a_call_that_was_dropped_breaks_off, an_answers_body_may_be_dropped,
            an_answer_may_come_before_the_body_was_read, stopping_finishes_what_runs,
            stopping_waits_for_nobody_who_waits, after_the_end_calls_are_refused,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! endpoint_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            a_hello_again_is_answered_again, asking_again_is_answered_again,
            derivations_may_be_put_again, items_may_be_put_again,
            a_submission_again_is_one_build, a_cancellation_again_is_one_end,
            an_exchange_again_gives_the_same, a_job_may_be_asked_for_again,
            a_log_sent_again_is_there_once, an_output_sent_again_is_there_once,
            a_report_again_is_one_end, an_agent_made_again_is_one,
            a_password_made_again_is_another, what_is_said_of_an_agent_again_is_so,
            an_agent_deleted_again_is_gone, what_is_pruned_again_is_gone,
            a_dropped_call_may_be_made_again, the_body_of_an_answer_may_be_dropped,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! local_store_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            an_import_is_what_is_exported, query_keeps_the_order, an_item_may_refer_to_itself,
            what_is_valid_is_not_read_again, the_same_import_at_once_is_one,
            items_outlive_their_process, import_refuses_another_hash, import_refuses_another_size,
            import_demands_references, an_import_that_breaks_off_leaves_nothing,
            an_import_that_is_given_up_leaves_nothing, what_is_not_valid_is_not_exported,
            a_deleted_item_is_gone, deleting_leaves_nothing_dangling,
            an_export_is_whole_or_an_error, garbage_goes_and_what_is_kept_stays,
            looking_for_garbage_deletes_nothing, garbage_stops_when_it_is_enough,
            what_is_exported_is_no_garbage,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! builder_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            a_build_makes_its_outputs, outputs_are_as_they_lie_in_the_store,
            outputs_are_canonical, a_fixed_output_has_its_hash, what_it_says_arrives,
            a_missing_input_is_a_setup_failure, an_output_in_the_way_is_a_setup_failure,
            a_failure_says_how_and_leaves_nothing, a_missing_output_is_a_failure,
            a_wrong_hash_is_a_failure, nothing_is_left_of_a_build, a_build_stops_when_told_to,
            a_build_that_was_stopped_does_not_begin, nothing_is_left_of_a_dropped_build,
            who_runs_too_long_is_ended, who_is_silent_too_long_is_ended, builds_run_at_once,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! hook_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            its_name_stays, facts_of_all_kinds_are_answered, what_is_not_known_is_answered,
            a_fact_that_comes_again_is_answered_again, a_new_process_answers_the_same,
            an_unavailable_history_is_a_retry, what_it_asks_for_can_be_done,
            what_it_does_not_want_it_asks_nothing_for,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! delivery_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            facts_come_in_order_and_one_at_a_time, facts_are_written_before_they_come,
            a_retried_fact_comes_again_before_others, a_rejected_fact_holds_back_its_build,
            what_was_not_taken_comes_after_a_crash, a_cursor_survives_a_crash,
            requests_are_done_once, requests_say_their_cause, hooks_in_a_row_end,
            a_hook_that_blocks_holds_nothing_up, a_hook_that_panics_takes_nobody_along,
            what_a_hook_does_not_want_does_not_come,
            a_hook_that_does_not_say_what_it_wants_gets_all,
        }
    };
}

/// The cases, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! policy_cases {
    ([$($then:tt)+] $($what:tt)*) => {
        $($then)+! { $($what)* =>
            keys_follow_from_the_candidate, any_candidate_has_a_key,
            later_ones_do_not_overtake_their_like, fits_follow_from_the_arguments,
            any_seat_has_a_fit, nobody_starves, who_must_not_have_one_gets_another,
            the_same_farm_is_the_same_run,
        }
    };
}

/// A `#[test]` for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($suite:ident, $bench:expr => $($case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                let bench = $bench;
                $crate::conformance::run($crate::conformance::$suite::$case(&bench));
            }
        )*
    };
}

/// The names of the cases that fail.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_failing {
    ($suite:ident, $bench:expr => $($case:ident,)*) => {{
        let mut failing: ::std::vec::Vec<&'static str> = ::std::vec::Vec::new();
        $(
            let bench = $bench;
            if $crate::conformance::fails($crate::conformance::$suite::$case(&bench)) {
                failing.push(stringify!($case));
            }
        )*
        failing
    }};
}

/// The names of the cases.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_names {
    ($suite:ident => $($case:ident,)*) => {
        [$(stringify!($case)),*]
    };
}
