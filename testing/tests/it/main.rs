//! The fakes keep the contracts and their own rules, and the suites find what breaks a contract.

#![expect(clippy::unwrap_used, reason = "tests")]

mod broken_artifacts;
mod broken_builders;
mod broken_datastores;
mod broken_deliveries;
mod broken_endpoints;
mod broken_histories;
mod broken_hooks;
mod broken_local_stores;
mod broken_policies;
mod broken_transports;
mod conformance;
mod faults;
mod found;
mod reference;
#[cfg(grange_bugs)]
mod reference_bugs;
mod rules;
