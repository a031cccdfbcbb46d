//! Cases for what a [`Policy`](grange_coordinator_core::Policy) is made of.

mod farm;
mod orders;
mod placements;
mod runs;

pub use orders::{
    any_candidate_has_a_key, keys_follow_from_the_candidate, later_ones_do_not_overtake_their_like,
};
pub use placements::{any_seat_has_a_fit, fits_follow_from_the_arguments};
pub use runs::{nobody_starves, the_same_farm_is_the_same_run, who_must_not_have_one_gets_another};
