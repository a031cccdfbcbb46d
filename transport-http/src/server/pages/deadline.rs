//! A point in time that is moved often and reached seldom.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// When patience ends. To move it back costs nothing: the timer is set anew only when it fires too early.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(super) fn new(at: Instant) -> Self {
        Self {
            at,
            timer: Box::pin(sleep_until(at)),
        }
    }

    pub(super) fn set(&mut self, at: Instant) {
        self.at = at;
        if at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
        }
    }

    /// Returns when it is reached.
    pub(super) async fn reached(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= self.at {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_can_be_moved_both_ways() {
        let begin = Instant::now();
        let seconds = |count| begin + Duration::from_secs(count);
        let mut deadline = Deadline::new(seconds(90));
        deadline.set(seconds(15));
        deadline.set(seconds(100));
        deadline.reached().await;
        assert_eq!(begin.elapsed().as_secs(), 100);
        deadline.set(seconds(200));
        deadline.set(seconds(110));
        deadline.reached().await;
        assert_eq!(begin.elapsed().as_secs(), 110);
    }
}
