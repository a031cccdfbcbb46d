//! How long servers of others are asked on behalf of one message.

use grange_interfaces::Clock;
use grange_model::Timestamp;

use crate::shared::Shared;

#[derive(Debug)]
pub(super) struct Patience<'a> {
    clock: &'a dyn Clock,
    until: Timestamp,
}

impl<'a> Patience<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        let clock = &*shared.clock;
        let whole = u64::try_from(shared.config.upstream_patience.as_millis()).unwrap_or(u64::MAX);
        Self {
            clock,
            until: Timestamp(clock.now().0.saturating_add(whole)),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.clock.now() >= self.until
    }
}
