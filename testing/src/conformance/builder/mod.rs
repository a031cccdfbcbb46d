//! Cases for [`Builder`](grange_interfaces::Builder).

mod ending;
mod failing;
mod making;
mod workshop;

pub use ending::{
    a_build_stops_when_told_to, a_build_that_was_stopped_does_not_begin, builds_run_at_once,
    nothing_is_left_of_a_build, nothing_is_left_of_a_dropped_build,
    who_is_silent_too_long_is_ended, who_runs_too_long_is_ended,
};
pub use failing::{
    a_failure_says_how_and_leaves_nothing, a_missing_input_is_a_setup_failure,
    a_missing_output_is_a_failure, a_wrong_hash_is_a_failure,
    an_output_in_the_way_is_a_setup_failure,
};
pub use making::{
    a_build_makes_its_outputs, a_fixed_output_has_its_hash, outputs_are_as_they_lie_in_the_store,
    outputs_are_canonical, what_it_says_arrives,
};
pub use workshop::runs_here;
