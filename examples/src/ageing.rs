//! A policy under which nothing waits for ever.

use grange::coordinator::{Candidate, Order, Placement, Seat};

/// Each point of priority is worth an hour of waiting.
#[derive(Debug)]
pub struct Ageing;

impl Order for Ageing {
    fn key(&self, candidate: &Candidate<'_>) -> i64 {
        let submitted = i64::try_from(candidate.submitted_at.0).unwrap_or(i64::MAX);
        submitted.saturating_sub(i64::from(candidate.priority) * 3_600_000)
    }
}

/// Keeps what is labelled `rack=…` in its rack.
#[derive(Debug)]
pub struct SameRack;

impl Placement for SameRack {
    fn fit(&self, candidate: &Candidate<'_>, seat: &Seat<'_>) -> i64 {
        let rack = candidate.tags.get("rack");
        i64::from(rack.is_some() && rack == seat.tags.get("rack"))
    }
}
