//! What a placement says.

use grange_coordinator_core::{Capacity, Health, Policy, Seat};
use grange_model::Tags;

use super::orders::{Owned, candidates};
use crate::conformance::PolicyBench;
use crate::sample;

/// Agents of all kinds.
fn seats() -> Vec<(Capacity, Tags, u32, u32)> {
    let mut all = Vec::new();
    for load in [0, 150, u32::MAX] {
        for room in [0, 1, u32::MAX] {
            let capacity = Capacity {
                systems: vec!["x86_64-linux".to_owned()],
                parallel: room,
                ..Capacity::default()
            };
            let tags = Tags::from([("rack".to_owned(), load.to_string())]);
            all.push((capacity.clone(), tags, load, room));
            all.push((Capacity::default(), Tags::new(), load, room));
        }
    }
    all
}

fn fits(policy: &Policy, of: &[Owned]) -> Vec<i64> {
    let Some(placement) = &policy.placement else {
        return Vec::new();
    };
    let mut fits = Vec::new();
    for owned in of {
        for (number, (capacity, tags, load, room)) in (0..).zip(&seats()) {
            let seat = Seat {
                agent: sample::agent_id(number),
                capacity,
                tags,
                health: Health {
                    load: *load,
                    ..Health::default()
                },
                room: *room,
                speed: 1_000 * (number + 1),
                local_bytes: [0, 1 << 20, u64::MAX][number as usize % 3],
            };
            fits.push(placement.fit(&owned.candidate(), &seat));
        }
    }
    fits
}

/// "What it says follows from its arguments and from nothing else."
pub async fn fits_follow_from_the_arguments(bench: &impl PolicyBench) {
    let policy = bench.policy();
    let candidates = candidates();
    let first = fits(&policy, &candidates);
    assert_eq!(first, fits(&policy, &candidates), "asked a second time");
    std::thread::sleep(std::time::Duration::from_millis(3));
    assert_eq!(
        first,
        fits(&bench.policy(), &candidates),
        "of a policy made anew, later"
    );
}

/// "It must not panic."
pub async fn any_seat_has_a_fit(bench: &impl PolicyBench) {
    fits(&bench.policy(), &candidates());
}
