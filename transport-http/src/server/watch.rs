//! Whether a connection is still worth having.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use crate::Limits;

/// What happens on a connection, counted by its streams and its requests. Times are milliseconds
/// since it was opened; a torn view costs at most one more look.
#[derive(Debug)]
pub(super) struct Watch {
    opened: Instant,
    /// Requests whose answer is not complete.
    requests: AtomicUsize,
    /// Requests that the endpoint works on.
    calls: AtomicUsize,
    /// When bytes of a body last came or were taken, or a request began or ended.
    progress: AtomicU64,
    /// When the first bytes came while there was no request, plus 1; 0 for none.
    head_since: AtomicU64,
    had_request: AtomicBool,
    http2: AtomicBool,
    /// Somebody else wants its place.
    unwanted: AtomicBool,
    told: Notify,
    header_time: Duration,
    idle_time: Duration,
    stall_time: Duration,
}

/// What to do about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    LookAgain(Instant),
    /// Nobody has used it for long.
    Idle,
    /// Somebody keeps it busy with nothing.
    Stalled,
}

impl Watch {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            requests: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            had_request: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            unwanted: AtomicBool::new(false),
            told: Notify::new(),
            header_time: limits.header_time,
            idle_time: limits.idle_time,
            stall_time: limits.stall_time,
        })
    }

    /// Bytes came on the connection.
    pub(super) fn bytes_came(&self) {
        if self.requests.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now() + 1, Relaxed);
        }
    }

    /// Bytes of a body came or were taken.
    pub(super) fn progress(&self) {
        self.progress.store(self.now(), Relaxed);
    }

    /// A request has come. It lasts until what is returned is dropped.
    pub(super) fn request(self: &Arc<Self>, http2: bool) -> RequestGuard {
        self.requests.fetch_add(1, Relaxed);
        self.had_request.store(true, Relaxed);
        self.http2.store(http2, Relaxed);
        self.head_since.store(0, Relaxed);
        self.progress();
        RequestGuard {
            watch: Arc::clone(self),
            _permit: None,
        }
    }

    /// The endpoint begins to work. It does until what is returned is dropped.
    pub(super) fn call(self: &Arc<Self>) -> CallGuard {
        self.calls.fetch_add(1, Relaxed);
        CallGuard(Arc::clone(self))
    }

    /// Whether there is a request whose answer is not complete.
    pub(super) fn is_busy(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// Since when it has had no request; none if it has one, or was told to leave already.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if self.is_busy() || self.unwanted.load(Relaxed) {
            return None;
        }
        Some(self.opened + Duration::from_millis(self.progress.load(Relaxed)))
    }

    /// Tells it to leave.
    pub(super) fn leave(&self) {
        self.unwanted.store(true, Relaxed);
        self.told.notify_one();
    }

    /// Returns once, when it is told to leave.
    pub(super) async fn told_to_leave(&self) {
        self.told.notified().await;
    }

    pub(super) fn verdict(&self) -> Verdict {
        let now = Instant::now();
        let at = |millis: u64| self.opened + Duration::from_millis(millis);
        let head_since = self.head_since.load(Relaxed);
        let progress = at(self.progress.load(Relaxed));
        let (deadline, verdict) = if self.calls.load(Relaxed) > 0 {
            // The endpoint has all the time that it wants; bodies that it waits for have their own.
            (now + self.stall_time, Verdict::Idle)
        } else if self.requests.load(Relaxed) > 0 {
            (progress + self.stall_time, Verdict::Stalled)
        } else if head_since > 0 && !self.http2.load(Relaxed) {
            (at(head_since - 1) + self.header_time, Verdict::Stalled)
        } else if self.had_request.load(Relaxed) {
            (progress + self.idle_time, Verdict::Idle)
        } else {
            (progress + self.header_time, Verdict::Idle)
        };
        if deadline <= now {
            return verdict;
        }
        // Headers may begin meanwhile.
        Verdict::LookAgain(deadline.min(now + self.header_time))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// A request whose answer is not complete.
#[derive(Debug)]
pub(super) struct RequestGuard {
    watch: Arc<Watch>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl RequestGuard {
    /// Keeps a place among the server's calls for as long.
    pub(super) fn keep(&mut self, permit: OwnedSemaphorePermit) {
        self._permit = Some(permit);
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.watch.progress();
        self.watch.requests.fetch_sub(1, Relaxed);
    }
}

/// A request that the endpoint works on.
#[derive(Debug)]
pub(super) struct CallGuard(Arc<Watch>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.progress();
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome_of(watch: &Watch) -> (Verdict, Duration) {
        let begin = Instant::now();
        loop {
            match watch.verdict() {
                Verdict::LookAgain(at) if begin.elapsed() < Duration::from_secs(3600) => {
                    tokio::time::sleep_until(at).await;
                }
                verdict => return (verdict, begin.elapsed()),
            }
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_is_idle_after_the_time_for_headers() {
        let watch = Watch::new(&Limits::default());
        assert_eq!(outcome_of(&watch).await, (Verdict::Idle, seconds(15)));
    }

    #[tokio::test(start_paused = true)]
    async fn headers_that_never_end_are_cut() {
        let watch = Watch::new(&Limits::default());
        drop(watch.request(false));
        tokio::time::advance(seconds(10)).await;
        watch.bytes_came();
        tokio::time::advance(seconds(5)).await;
        watch.bytes_came();
        assert_eq!(outcome_of(&watch).await, (Verdict::Stalled, seconds(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unused_connection_stays_for_the_idle_time() {
        let watch = Watch::new(&Limits::default());
        drop(watch.request(true));
        watch.bytes_came();
        assert_eq!(outcome_of(&watch).await, (Verdict::Idle, seconds(90)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_endpoint_has_its_time_and_a_receiver_has_not() {
        let watch = Watch::new(&Limits::default());
        let _request = watch.request(false);
        let call = watch.call();
        assert!(matches!(outcome_of(&watch).await.0, Verdict::LookAgain(_)));
        drop(call);
        assert_eq!(outcome_of(&watch).await, (Verdict::Stalled, seconds(60)));
    }
}
