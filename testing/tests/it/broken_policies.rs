//! The suite of policies, on four that are right, and on those that each break one sentence.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use grange_coordinator_core::{
    ByCriticalPath, ByLocality, ByPriority, BySpeed, Candidate, Order, Placement, Policy, Seat,
};
use grange_testing::conformance::PolicyBench;

use crate::found;

mod by_priority {
    use super::*;

    struct Bench;

    impl PolicyBench for Bench {
        fn policy(&self) -> Policy {
            Policy::default()
        }

        fn overtakes(&self) -> u64 {
            0
        }
    }

    grange_testing::policy_conformance!(Bench);
}

/// What has most before it first, where most of its inputs are. Builds that are expected to take the same keep their order.
mod critical_path {
    use super::*;

    struct Bench;

    impl PolicyBench for Bench {
        fn policy(&self) -> Policy {
            Policy {
                order: vec![Arc::new(ByPriority), Arc::new(ByCriticalPath)],
                placement: Some(Arc::new(ByLocality)),
                ..Policy::default()
            }
        }

        fn overtakes(&self) -> u64 {
            0
        }
    }

    grange_testing::policy_conformance!(Bench);
}

/// The oldest first, on the fastest.
mod by_speed {
    use super::*;

    struct Bench;

    impl PolicyBench for Bench {
        fn policy(&self) -> Policy {
            Policy {
                order: Vec::new(),
                placement: Some(Arc::new(BySpeed)),
                ..Policy::default()
            }
        }

        fn overtakes(&self) -> u64 {
            0
        }
    }

    grange_testing::policy_conformance!(Bench);
}

/// A head start for a label, which runs out; and the agent of least load.
mod head_start {
    use super::*;

    /// Milliseconds.
    const HEAD_START: i64 = 100;

    #[derive(Debug)]
    struct Rush;

    impl Order for Rush {
        fn key(&self, candidate: &Candidate<'_>) -> i64 {
            let submitted = i64::try_from(candidate.submitted_at.0).unwrap_or(i64::MAX);
            let rush = candidate.tags.contains_key("rush");
            submitted.saturating_sub(if rush { HEAD_START } else { 0 })
        }
    }

    #[derive(Debug)]
    struct LeastLoad;

    impl Placement for LeastLoad {
        fn fit(&self, _: &Candidate<'_>, seat: &Seat<'_>) -> i64 {
            -i64::from(seat.health.load)
        }
    }

    struct Bench;

    impl PolicyBench for Bench {
        fn policy(&self) -> Policy {
            Policy {
                order: vec![Arc::new(ByPriority), Arc::new(Rush)],
                placement: Some(Arc::new(LeastLoad)),
                lookahead: 3,
                ..Policy::default()
            }
        }

        fn overtakes(&self) -> u64 {
            // A build comes each millisecond at most.
            HEAD_START.unsigned_abs()
        }
    }

    grange_testing::policy_conformance!(Bench);
}

/// What is wrong with a policy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    /// Nothing.
    None,
    /// Each key is another.
    CountsQuestions,
    /// Throws dice.
    Random,
    /// Looks at the clock.
    LooksAtTheClock,
    /// The newest goes first.
    LastInFirstOut,
    /// Has no key for the lowest priority.
    Overflows,
    /// Has no key for what has no name.
    WantsNames,
    /// Some always go before others, and it says otherwise.
    Starves,
    /// Each place is another.
    CountsPlaces,
    /// Divides by what may be zero.
    DividesByRoom,
    /// Chooses by the hash of the day.
    PlacesByHash,
    /// Looks no further than to the first build.
    LooksAtOne,
}

#[derive(Debug)]
struct Broken(Defect, AtomicI64);

impl Broken {
    fn next(&self) -> i64 {
        self.1.fetch_add(1, Ordering::SeqCst)
    }
}

fn millis() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

fn random(of: &str) -> i64 {
    (RandomState::new().hash_one(of) >> 2) as i64
}

impl Order for Broken {
    fn key(&self, candidate: &Candidate<'_>) -> i64 {
        match self.0 {
            Defect::CountsQuestions => self.next(),
            Defect::Random => random(&candidate.derivation.name),
            Defect::LooksAtTheClock => millis(),
            Defect::LastInFirstOut => -((candidate.submitted_at.0 >> 1) as i64),
            Defect::Overflows => i64::from(candidate.priority.checked_neg().unwrap()),
            Defect::WantsNames => candidate
                .derivation
                .name
                .bytes()
                .next()
                .map(i64::from)
                .unwrap(),
            Defect::Starves => i64::from(!candidate.tags.contains_key("rush")),
            _ => 0,
        }
    }
}

impl Placement for Broken {
    fn fit(&self, candidate: &Candidate<'_>, seat: &Seat<'_>) -> i64 {
        match self.0 {
            Defect::CountsPlaces => self.next(),
            Defect::DividesByRoom => i64::from(seat.health.load.checked_div(seat.room).unwrap()),
            Defect::PlacesByHash => random(candidate.system),
            _ => 0,
        }
    }
}

impl PolicyBench for Defect {
    fn policy(&self) -> Policy {
        Policy {
            order: vec![
                Arc::new(ByPriority),
                Arc::new(Broken(*self, AtomicI64::new(0))),
            ],
            placement: Some(Arc::new(Broken(*self, AtomicI64::new(0)))),
            lookahead: match self {
                Self::LooksAtOne => 1,
                _ => 64,
            },
            ..Policy::default()
        }
    }

    fn overtakes(&self) -> u64 {
        0
    }
}

found! {
    policy, |defect: Defect| defect;
    nothing_is_wrong: None => [];
    keys_that_count: CountsQuestions => [keys_follow_from_the_candidate];
    keys_by_chance: Random => [
        keys_follow_from_the_candidate,
        later_ones_do_not_overtake_their_like,
        nobody_starves,
    ];
    keys_by_the_clock: LooksAtTheClock => [keys_follow_from_the_candidate];
    the_newest_first: LastInFirstOut => [later_ones_do_not_overtake_their_like, nobody_starves];
    a_priority_without_a_key: Overflows => [
        any_candidate_has_a_key,
        keys_follow_from_the_candidate,
        later_ones_do_not_overtake_their_like,
    ];
    a_name_without_a_key: WantsNames => [
        any_candidate_has_a_key,
        keys_follow_from_the_candidate,
        later_ones_do_not_overtake_their_like,
    ];
    some_always_first: Starves => [nobody_starves];
    places_that_count: CountsPlaces => [fits_follow_from_the_arguments];
    a_seat_without_a_fit: DividesByRoom => [any_seat_has_a_fit, fits_follow_from_the_arguments];
    places_by_chance: PlacesByHash => [
        the_same_farm_is_the_same_run,
        fits_follow_from_the_arguments,
    ];
    a_look_that_is_too_short: LooksAtOne => [who_must_not_have_one_gets_another];
}
