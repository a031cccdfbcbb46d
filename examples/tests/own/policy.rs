//! The policy of the examples keeps the contract.

use std::sync::Arc;

use grange::coordinator::Policy;
use grange_examples::ageing::{Ageing, SameRack};
use grange_testing::conformance::PolicyBench;

struct Bench;

impl PolicyBench for Bench {
    fn policy(&self) -> Policy {
        Policy {
            order: vec![Arc::new(Ageing)],
            placement: Some(Arc::new(SameRack)),
            ..Policy::default()
        }
    }

    /// The bound of a build's waiting: how many that came later, and have no higher priority, go before it.
    fn overtakes(&self) -> u64 {
        0
    }
}

grange_testing::policy_conformance!(Bench);
