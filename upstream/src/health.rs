//! A server that does not answer is left alone for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether a server answers.
#[derive(Debug)]
pub(crate) struct Health {
    first: Duration,
    most: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Until when it is left alone, and why.
    rest: Option<(Instant, String)>,
}

impl Health {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            state: Mutex::default(),
        }
    }

    /// Why it is not to be asked now, if it is not.
    pub(crate) fn rests(&self, now: Instant) -> Option<String> {
        let state = self.state();
        let (until, why) = state.rest.as_ref()?;
        (now < *until).then(|| {
            format!(
                "{why}; it is left alone for {} s",
                (*until - now).as_secs() + 1
            )
        })
    }

    /// It did not answer. Requests that failed at once count as one.
    pub(crate) fn failed(&self, now: Instant, why: &str) {
        let mut state = self.state();
        if state.rest.as_ref().is_some_and(|(until, _)| now < *until) {
            return;
        }
        let doubled = 1_u32.checked_shl(state.failures).unwrap_or(u32::MAX);
        let rest = self.first.saturating_mul(doubled).min(self.most);
        state.failures = state.failures.saturating_add(1);
        state.rest = Some((now + rest, why.to_owned()));
    }

    /// It answered.
    pub(crate) fn answered(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_grows_until_it_answers() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let health = Health::new(Duration::from_secs(10), Duration::from_secs(30));
        assert_eq!(health.rests(at(0)), None);
        health.failed(at(0), "gone");
        health.failed(at(1), "of the same time");
        assert_eq!(
            health.rests(at(4)).unwrap(),
            "gone; it is left alone for 7 s"
        );
        assert_eq!(health.rests(at(10)), None);
        health.failed(at(10), "again");
        assert!(health.rests(at(29)).is_some() && health.rests(at(30)).is_none());
        health.failed(at(30), "again");
        assert!(health.rests(at(59)).is_some() && health.rests(at(60)).is_none());
        health.failed(at(60), "again");
        health.answered();
        assert_eq!(health.rests(at(60)), None);
        health.failed(at(60), "again");
        assert_eq!(health.rests(at(70)), None);
    }
}
