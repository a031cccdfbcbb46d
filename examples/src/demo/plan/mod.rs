//! Which derivations there are, from the libraries up.
//!
//! ```text
//! tools ── libraries ── programs ── what they compute ── bundles ── world
//!            │  └─ tests ───────────────────────────────┘
//!            └─ dates (fails) ── cal, agenda-tool ── calendar, agenda ── almanac
//! ```

mod almanac;
mod bundles;
mod libraries;
mod programs;
mod results;

use super::graph::GraphError;
use super::kit::Kit;
use grange_derivation::StorePath;

/// Writes all derivations; returns those that nothing else needs.
pub(super) fn write(kit: &mut Kit) -> Result<Vec<StorePath>, GraphError> {
    let recipes = [
        libraries::recipes(),
        programs::recipes(),
        results::recipes(),
        bundles::recipes(),
        almanac::recipes(),
    ];
    for recipe in recipes.iter().flatten() {
        kit.write(recipe)?;
    }
    Ok(vec![kit.path("world")?, kit.path("almanac")?])
}
