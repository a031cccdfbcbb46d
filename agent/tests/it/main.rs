//! Tests of the agent against a scripted coordinator, builder and store.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so where it stands"
)]

mod builder;
mod config;
mod derivations;
mod farm;
mod fetching;
mod happy;
mod logs;
mod refusals;
mod restart;
mod rig;
mod room;
mod setup;
mod stops;
mod store;
mod uploads;
mod upstream;
