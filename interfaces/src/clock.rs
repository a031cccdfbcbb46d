//! Where `now` comes from.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use grange_model::Timestamp;

/// Time for the shells. The cores are given `now` with each call.
///
/// # Contract
///
/// `now` may jump, forwards and backwards: the cores clamp it. `sleep` measures the same time as
/// `now` does where nothing jumps, and may end early: who sleeps looks at `now` again.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time.
    fn now(&self) -> Timestamp;

    /// Returns after about this long.
    async fn sleep(&self, duration: Duration);
}
