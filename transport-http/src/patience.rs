//! How long to wait for the next bytes of a body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Counts the time that was spent waiting for a body's bytes, against the bytes that came.
///
/// A sender is cut when a single wait lasts longer than `grace`, or when all waits together last
/// longer than `grace` and what the bytes may take at the lowest rate. Time that the receiver takes
/// is not counted.
#[derive(Debug)]
pub(crate) struct Patience {
    grace: Duration,
    min_rate: u64,
    waited: Duration,
    received: u64,
    waiting_since: Option<Instant>,
    // Made at the first wait. It is not set anew for each wait, only when it fires too early.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(grace: Duration, min_rate: u64) -> Self {
        Self {
            grace,
            min_rate: min_rate.max(1),
            waited: Duration::ZERO,
            received: 0,
            waiting_since: None,
            timer: None,
        }
    }

    /// Bytes came.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// No bytes yet: ready when the patience is at its end.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let earned = Duration::from_millis((self.received / self.min_rate).saturating_mul(1000));
        let left = self
            .grace
            .saturating_add(earned)
            .saturating_sub(self.waited);
        let deadline = since + left.min(self.grace);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    /// How long it takes until a sender of `bytes` every `pause` is cut; none if it is not, in 1,000 pauses.
    async fn cut_after(bytes: usize, pause: Duration) -> Option<Duration> {
        let begin = Instant::now();
        let mut patience = Patience::new(GRACE, 100);
        for _ in 0..1000 {
            let over = poll_fn(|cx| patience.poll_over(cx));
            if tokio::time::timeout(pause, over).await.is_ok() {
                return Some(begin.elapsed());
            }
            patience.received(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_sender_is_cut_after_the_grace() {
        let after = cut_after(1 << 20, Duration::from_secs(3600)).await.unwrap();
        assert!(after >= GRACE && after < GRACE * 2, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_dribbles_is_cut() {
        let after = cut_after(1, Duration::from_secs(1)).await.unwrap();
        assert!(after < GRACE * 2, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_sender_above_the_lowest_rate_is_not_cut() {
        assert_eq!(cut_after(4096, Duration::from_secs(20)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_receiver_takes_is_not_counted() {
        let mut patience = Patience::new(GRACE, 100);
        for _ in 0..10 {
            patience.received(1);
            tokio::time::advance(GRACE * 2).await;
        }
        let over = poll_fn(|cx| patience.poll_over(cx));
        assert!(tokio::time::timeout(GRACE / 2, over).await.is_err());
    }
}
