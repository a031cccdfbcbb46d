//! What an operator may choose.

use std::time::Duration;

use crate::policy::Policy;

/// What the core is told once. Every default suits a farm of a few hundred agents.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long the core counts on an agent that it does not hear of. Shorter: builds of a lost
    /// agent are given to others sooner; longer: a slow network costs fewer races.
    pub lease: Duration,
    /// The longest time that an exchange waits for something to do.
    pub max_wait: Duration,
    /// How long a failure is remembered: until then the derivation fails at once, unless asked for
    /// again.
    pub remember_failures: Duration,
    /// How long a cancellation is remembered: until then builds that need the output end as
    /// failed-dependency.
    pub remember_cancels: Duration,
    /// How long an agent gets no attempt of a build that it had a setup failure of; doubled each
    /// time, up to 64 times.
    pub setup_backoff: Duration,
    /// How long an agent may have a build beside twice its limit of time: for what it fetches and sends. After that it counts as
    /// a setup failure.
    pub hold: Duration,
    /// Who gets what first.
    pub policy: Policy,
    /// How many different combinations of system, requirements and resources there may be among the
    /// unfinished builds. Memory is predicted as long as there are half as many.
    pub max_classes: usize,
    /// How many unfinished builds there may be of one derivation. They share an attempt, start together and end together, so that
    /// all of them are in one message and one call of the core: about a microsecond and 40 bytes each.
    pub max_builds_per_derivation: usize,
    /// How long a build takes that nothing is known of, as long as nothing was built: half of them no longer.
    pub cold_duration: Duration,
    /// The same, nine of ten no longer.
    pub cold_duration_p90: Duration,
    /// Of how many packages, each on each system, it is kept what they took. Each takes about 200 bytes of memory; of further
    /// ones nothing is learned.
    pub max_packages: usize,
    /// How many edges of the graph one call may touch before the rest is put off; a build counts
    /// for 16. At 2,000, a call takes half a millisecond; more gets large requests done sooner, and
    /// keeps others waiting longer.
    pub slice: usize,
    /// The bug that is put back.
    #[cfg(grange_bugs)]
    pub bug: Option<crate::Bug>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60),
            max_wait: Duration::from_secs(60),
            remember_failures: Duration::from_hours(30 * 24),
            remember_cancels: Duration::from_mins(10),
            setup_backoff: Duration::from_secs(30),
            hold: Duration::from_hours(6),
            policy: Policy::default(),
            max_classes: 4_096,
            max_builds_per_derivation: 4_096,
            cold_duration: Duration::from_mins(1),
            cold_duration_p90: Duration::from_mins(10),
            max_packages: 250_000,
            slice: 2_000,
            #[cfg(grange_bugs)]
            bug: None,
        }
    }
}
