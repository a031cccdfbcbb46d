//! Time that passes when a test says so.

use std::time::Duration;

use async_trait::async_trait;
use grange_interfaces::Clock;
use grange_model::Timestamp;
use tokio::sync::watch;

/// A clock that stands still until it is set forward.
#[derive(Debug)]
pub(crate) struct ManualClock(watch::Sender<Timestamp>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Timestamp(1_700_000_000_000)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = now.after(by));
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.now().after(duration);
        let mut now = self.0.subscribe();
        let _ = now.wait_for(|now| *now >= end).await;
    }
}
